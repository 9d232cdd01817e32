package io.spd4j.nativelib;

import java.lang.foreign.SymbolLookup;
import java.lang.reflect.Method;
import java.util.stream.Stream;

/** The native functions that jextract's bindings call. */
final class BoundFunctions {
  /** For a function f, jextract makes a method f$address. */
  private static final String ADDRESS = "$address";

  private BoundFunctions() {}

  static Stream<String> names(Class<?> bindings) {
    return Stream.of(bindings.getMethods())
        .map(Method::getName)
        .filter(name -> name.endsWith(ADDRESS))
        .map(name -> name.substring(0, name.length() - ADDRESS.length()));
  }

  /**
   * Checks that every function exists, so that a missing one is noticed here and not in a step.
   *
   * @throws UnsatisfiedLinkError if the loaded libraries lack one
   */
  static void find(Class<?> bindings) {
    SymbolLookup libraries = SymbolLookup.loaderLookup();
    names(bindings)
        .filter(name -> libraries.find(name).isEmpty())
        .findFirst()
        .ifPresent(name -> {
          throw new UnsatisfiedLinkError("unresolved symbol: " + name);
        });
  }
}
