package io.spd4j.nativelib;

import static org.assertj.core.api.Assertions.assertThat;

import io.spd4j.generated.mpi.mpi_h;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Which MPIs are used, and the reason that is given for the others. */
class MpiAbiTest {
  private static final Map<String, String> REPORT = Map.of("report.mpi", "true");

  @TempDir Path folder;

  @Test
  void anUnknownMpiIsRefused() throws Exception {
    refused(
        library("Another MPI v1.2, of today"),
        "it is neither an Open MPI nor an MPICH, whose constants are known: Another MPI v1.2");
  }

  @Test
  void aMissingFunctionIsRefused() throws Exception {
    refused(
        library("MPICH Version: 4").replace("MPI_Cancel", "another"),
        "unresolved symbol: MPI_Cancel");
  }

  @Test
  void theRelativesOfMpichAreUsed() throws Exception {
    for (String version :
        List.of("MPICH Version:\t4.0.2\\nof today", "MVAPICH 4", "Intel(R) MPI Library 2021.9")) {
      Path file = Places.compile(Files.createTempDirectory(folder, "mpi"), library(version));
      assertThat(load(file).loaded()).isTrue();
    }
  }

  @Test
  void theStandardAbiIsRefused() throws Exception {
    Path file = folder.resolve("libmpi_abi.so.1");
    Files.copy(Places.compile(folder, library("MPICH Version: 5")), file);
    assertThat(load(file).refusal())
        .endsWith(
            " cannot be used: it has the standard ABI of MPI 5, whose constants are not known here");
  }

  @Test
  void aMissingFileThatIsNamedIsAnError() throws Exception {
    Path missing = folder.resolve("missing.so");
    assertThat(load(missing).refusal())
        .endsWith(" was not loaded: there is no file " + missing + " (-Dmpi.library.path)");
  }

  @Test
  void aLibraryThatTheSystemLacksIsNotFound() {
    assertThat(new SystemLibrary(List.of("libnothing.so.1"), "", Map.of()).load()).isEmpty();
  }

  @Test
  void theAdviceSaysWhatToInstall() {
    assertThat(MpiAbi.installed().advice())
        .contains("apt-get install openmpi-bin libopenmpi3", "-Dmpi.library.path=FILE");
  }

  private static Outcome load(Path file) throws Exception {
    return Outcome.inNewLoader(
        Places.CLASSES, Map.of("report.mpi", "true", "mpi.library.path", file.toString()));
  }

  /** Returns the C source of an MPI that can do nothing but say its name. */
  private static String library(String version) {
    String others =
        BoundFunctions.names(mpi_h.class)
            .filter(name -> name.startsWith("MPI_") && !name.equals("MPI_Get_library_version"))
            .map("int %s(void) { return 0; }"::formatted)
            .collect(Collectors.joining("\n"));
    return """
    #include <string.h>
    int MPI_Get_library_version(char *version, int *length) {
      strcpy(version, "%s");
      *length = (int) strlen(version);
      return 0;
    }
    %s
    """
        .formatted(version, others);
  }

  private void refused(String source, String reason) throws Exception {
    Outcome.refused(folder, "mpi", REPORT, source, reason);
  }
}
