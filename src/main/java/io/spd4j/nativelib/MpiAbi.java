package io.spd4j.nativelib;

import io.spd4j.generated.mpi.mpi_h;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SymbolLookup;
import java.lang.foreign.ValueLayout;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * The values in which MPI's implementations differ: Open MPI's handles are addresses of variables,
 * those of MPICH and of its relatives are numbers.
 *
 * @param name the implementation and its version
 * @param world MPI_COMM_WORLD
 * @param self MPI_COMM_SELF
 * @param bytes MPI_BYTE
 * @param errorsReturn MPI_ERRORS_RETURN
 * @param requestNull MPI_REQUEST_NULL
 * @param anySource MPI_ANY_SOURCE
 */
public record MpiAbi(
    String name,
    MemorySegment world,
    MemorySegment self,
    MemorySegment bytes,
    MemorySegment errorsReturn,
    long requestNull,
    int anySource) {
  /** MPI_THREAD_SERIALIZED: several threads call MPI, one at a time. */
  public static final int THREAD_SERIALIZED = 2;

  /** MPI_ANY_TAG. */
  public static final int ANY_TAG = -1;

  private static final String ADVICE =
      " (install Open MPI, on Debian and Ubuntu by apt-get install openmpi-bin libopenmpi3, or start"
          + " java with -Dmpi.library.path=FILE, the libmpi of an Open MPI or MPICH)";

  private static final List<String> FILES =
      List.of("libmpi.so.40", "libmpi.so.12", "libmpich.so.12", "libmpi.so", "libmpi.dylib");

  /**
   * UCX, on which both can be built, would take over signals that the JVM needs: SIGSEGV above all.
   */
  private static final Map<String, String> ENVIRONMENT = Map.of("UCX_ERROR_SIGNALS", "");

  /** How Intel MPI, MVAPICH and Cray's MPI, which have MPICH's constants, call themselves. */
  private static final List<String> MPICH = List.of("MPICH", "MVAPICH", "Intel(R) MPI");

  /** Where the text of MPI_Get_library_version fits in any implementation. */
  private static final int VERSION_BYTES = 8192;

  /** Returns what an MPI is called where it is installed; that of the running launcher first. */
  static SystemLibrary installed() {
    List<String> files = new ArrayList<>(FILES);
    Map<String, String> environment = System.getenv();
    if (environment.containsKey("PMI_SIZE") && !environment.containsKey("OMPI_COMM_WORLD_SIZE")) {
      Collections.rotate(files.subList(0, 3), -1); // MPICH's launcher, not Open MPI's
    }
    return new SystemLibrary(files, ADVICE, ENVIRONMENT);
  }

  /**
   * Returns what keeps the bindings from using the loaded library; empty if nothing does.
   *
   * @throws UnsatisfiedLinkError if a function is missing
   */
  static Optional<String> mismatch() {
    BoundFunctions.find(mpi_h.class);
    Path file = Path.of(SystemLibrary.file(mpi_h.MPI_Init_thread$address()));
    if (file.getFileName().toString().startsWith("libmpi_abi")) {
      return Optional.of("it has the standard ABI of MPI 5, whose constants are not known here");
    }
    return find().isPresent()
        ? Optional.empty()
        : Optional.of(
            "it is neither an Open MPI nor an MPICH, whose constants are known: " + version());
  }

  /** Returns the values of the loaded library. It must be loaded. */
  public static MpiAbi loaded() {
    return find().orElseThrow();
  }

  private static Optional<MpiAbi> find() {
    String version = version();
    SymbolLookup libraries = SymbolLookup.loaderLookup();
    if (libraries.find("ompi_mpi_comm_world").isPresent()) {
      return Optional.of(
          new MpiAbi(
              version,
              libraries.find("ompi_mpi_comm_world").orElseThrow(),
              libraries.find("ompi_mpi_comm_self").orElseThrow(),
              libraries.find("ompi_mpi_byte").orElseThrow(),
              libraries.find("ompi_mpi_errors_return").orElseThrow(),
              libraries.find("ompi_request_null").orElseThrow().address(),
              -1));
    }
    if (MPICH.stream().noneMatch(version::contains)) {
      return Optional.empty();
    }
    return Optional.of(
        new MpiAbi(
            version,
            MemorySegment.ofAddress(0x44000000),
            MemorySegment.ofAddress(0x44000001),
            MemorySegment.ofAddress(0x4c00010d),
            MemorySegment.ofAddress(0x54000001),
            0x2c000000,
            -2));
  }

  /** Returns the beginning of what the library calls itself. */
  private static String version() {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment text = arena.allocate(VERSION_BYTES);
      mpi_h.MPI_Get_library_version(text, arena.allocate(ValueLayout.JAVA_INT));
      String first = text.getString(0).lines().findFirst().orElse("");
      return first.replaceFirst(",.*", "").replaceAll("\\s+", " ").strip();
    }
  }
}
