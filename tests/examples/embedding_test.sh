#!/bin/bash
# The README's two ways of embedding: an installed Reef found by find_package, and its sources by
# add_subdirectory. In both, the README's own program is built and must end with status 0.
#
# usage: embedding_test.sh <path of cmake> <Reef's sources> <its build> <compiler> <program's source>
set -uo pipefail

(($# == 5)) || { echo "usage: $0 <cmake> <sources> <build> <compiler> <program>" >&2; exit 2; }
readonly CMAKE=$1 SOURCES=$2 BUILD=$3 COMPILER=$4 PROGRAM=$5
folder=$(mktemp -d) || exit 1
readonly folder
trap 'rm -rf "$folder"' EXIT
failures=0

# step <what> <command>...: quiet unless it fails.
step() {
  local what=$1
  shift
  "$@" >"$folder/log" 2>&1 && return 0
  echo "FAILED: $what (exit status $?)" >&2
  sed 's/^/  /' "$folder/log" | tail -n 40 >&2
  ((++failures))
  return 1
}

# try <what> <how the server comes to Reef>
try() {
  local what=$1 project=$folder/$1
  mkdir -p "$project"
  cp "$PROGRAM" "$project/server.cc"
  cat >"$project/CMakeLists.txt" <<END
cmake_minimum_required(VERSION 3.22)
project(Server LANGUAGES CXX)
$2
add_executable(server server.cc)
target_link_libraries(server PRIVATE Reef::reef)
END
  step "$what: configure" "$CMAKE" -S "$project" -B "$project/build" -G Ninja \
    "-DCMAKE_CXX_COMPILER=$COMPILER" "-DCMAKE_PREFIX_PATH=$folder/prefix" &&
    step "$what: build" "$CMAKE" --build "$project/build" &&
    step "$what: run" "$project/build/server" && echo "$what: works"
}

step "install" "$CMAKE" --install "$BUILD" --prefix "$folder/prefix"
try find_package "find_package(Reef REQUIRED)"
# The tests, examples and programs of Reef are no part of the other project.
try add_subdirectory "add_subdirectory($SOURCES reef)
if(TARGET reef_tests OR TARGET reef_examples OR TARGET reef_stress OR TARGET reef_bench)
  message(FATAL_ERROR \"Reef brings more than its library\")
endif()"

if ((failures)); then
  echo "$failures steps failed" >&2
  exit 1
fi
echo "all checks passed"
