// What becomes of an exception that nobody can catch (reef/unraisable.h).
#include "reef/unraisable.h"

#include <atomic>
#include <cstdio>
#include <cstring>
#include <utility>

#include "lib/object/finalizer.h"
#include "reef/internal/type_info.h"

namespace reef::object {
namespace {

// Release when set, acquire when called: what the hook relies on was written before.
std::atomic<UnraisableHook> g_hook{nullptr};

void Print(const Unraisable& what) {
  char text[256];
  const char* detail = "an exception that is no std::exception";
  try {
    std::rethrow_exception(what.exception);
  } catch (const std::exception& exception) {
    detail = exception.what();
    (void)std::snprintf(text, sizeof text, "%s", detail);
    detail = text;
  } catch (...) {
  }
  const char* article = std::strchr("aeiou", what.phase[0]) == nullptr ? "a" : "an";
  (void)std::fprintf(stderr, "reef: exception ignored in %s %s%s%s: %s\n", article, what.phase,
                     what.type_name[0] == '\0' ? "" : " of ", what.type_name, detail);
}

}  // namespace

void ReportUnraisable(const Call& call, std::exception_ptr exception) {
  char name[200] = "";
  if (call.type != nullptr) internal::CopyTypeName(call.type, name, sizeof name);
  const Unraisable what{.phase = call.phase,
                        .type_name = name,
                        .object = call.object,
                        .exception = std::move(exception)};
  const UnraisableHook hook = g_hook.load(std::memory_order_acquire);
  if (hook == nullptr) return Print(what);
  try {
    hook(what);
  } catch (...) {
    Print({.phase = "unraisable hook",
           .type_name = "",
           .object = nullptr,
           .exception = std::current_exception()});
    Print(what);
  }
}

}  // namespace reef::object

namespace reef {

UnraisableHook SetUnraisableHook(UnraisableHook hook) noexcept {
  return object::g_hook.exchange(hook, std::memory_order_acq_rel);
}

}  // namespace reef
