// Names of types, as diagnostics show them.
#include "lib/object/type_name.h"

#include <string_view>

#include "gtest/gtest.h"

#include "tests/object/support.h"

namespace reef::object {

struct Named {};
template <typename T>
struct Wrapped {};

namespace {

template <typename T>
std::string_view NameOf() {
  return TypeName(internal::TypeOf<T>::info);
}

TEST(TypeNameTest, IsTheQualifiedName) {
  EXPECT_EQ(NameOf<Named>(), "reef::object::Named");
  EXPECT_EQ(NameOf<test::Node>(), "reef::object::test::Node");
  EXPECT_EQ(NameOf<int>(), "int");
}

TEST(TypeNameTest, ArgumentsOfATemplateStay) {
  EXPECT_EQ(NameOf<Wrapped<Named>>(), "reef::object::Wrapped<reef::object::Named>");
  const std::string_view array = NameOf<Wrapped<int[3]>>();
  EXPECT_EQ(array.substr(0, 25), "reef::object::Wrapped<int");
  EXPECT_EQ(array.substr(array.size() - 3), "3]>") << "the last bracket ends the signature";
}

TEST(TypeNameTest, SignatureOfAnotherFormStandsForItself) {
  internal::TypeInfo& info = internal::TypeOf<Wrapped<char>>::info;
  info.signature = "something else";
  EXPECT_EQ(TypeName(info), "something else");
}

}  // namespace
}  // namespace reef::object
