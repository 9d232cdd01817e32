package io.spd4j.nativelib;

import io.spd4j.generated.mpi.Dl_info;
import io.spd4j.generated.mpi.mpi_h;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SymbolLookup;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * A library that is installed on the system, where the dynamic linker finds it by its file name.
 *
 * @param files the names it can have, tried in order
 * @param advice how to get the library, to follow the message that it is missing
 * @param environment variables that it reads when it is loaded, from wherever that is; set unless
 *     the user has set them
 */
record SystemLibrary(List<String> files, String advice, Map<String, String> environment) {
  static final SystemLibrary NONE = new SystemLibrary(List.of(), "", Map.of());

  /** A function that all of them have, which tells where the linker found the file. */
  private static final String FUNCTION = "MPI_Init_thread";

  /** Sets its variables; Java's System.getenv does not see them. */
  void setEnvironment() {
    try (Arena arena = Arena.ofConfined()) {
      environment.forEach(
          (name, value) -> mpi_h.setenv(arena.allocateFrom(name), arena.allocateFrom(value), 0));
    }
  }

  /** Loads the first that is installed; returns its path. */
  Optional<String> load() {
    for (String file : files) {
      try (Arena arena = Arena.ofConfined()) {
        Optional<MemorySegment> function = SymbolLookup.libraryLookup(file, arena).find(FUNCTION);
        if (function.isPresent()) {
          // Generated bindings search what System.load loads, and that wants a path.
          String path = file(function.get());
          System.load(path);
          return Optional.of(path);
        }
      } catch (IllegalArgumentException absent) {
        continue;
      }
    }
    return Optional.empty();
  }

  /** Returns the path of the library that a function came from. */
  static String file(MemorySegment function) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment info = Dl_info.allocate(arena);
      return mpi_h.dladdr(function, info) == 0 ? "" : Dl_info.dli_fname(info).getString(0);
    }
  }
}
