// A Ref does not convert downwards by itself.
// EXPECT: conversion from
#include "reef/reef.h"

struct Base {};
struct Derived : Base {};

int main() {
  const reef::Ref<Base> base = reef::Make<Base>();
  const reef::Ref<Derived> derived = base;
}
