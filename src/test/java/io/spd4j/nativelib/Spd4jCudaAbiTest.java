package io.spd4j.nativelib;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.spd4j.generated.cudart.cudart_h;
import io.spd4j.generated.spd4jcuda.spd4j_cuda_h;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class Spd4jCudaAbiTest {
  private static final String FILE = System.mapLibraryName("spd4j_cuda");
  private static final String FUNCTION = "--include-function ";

  @TempDir Path folder;

  /** This needs neither a GPU nor a driver. */
  @Test
  void theBundledLibraryFitsTheBindings() throws Exception {
    String bundled = "META-INF/native/" + Platform.NAME + "/" + FILE;
    assumeTrue(Files.exists(Places.CLASSES.resolve(bundled)), "no nvcc was found");
    Outcome outcome = Outcome.inNewLoader(Places.CLASSES, Map.of("report.cuda", "true"));
    assertThat(outcome.reason()).isEqualTo(FILE + " was loaded from the bundled " + bundled);
    assertThat(outcome.loaded()).isTrue();
  }

  @Test
  void withoutItTheReasonSaysHowToGetIt() throws Exception {
    Outcome outcome =
        Outcome.inNewLoader(Places.classesAlone(folder), Map.of("report.cuda", "true"));
    assertThat(outcome.refusal())
        .startsWith(FILE + " was not loaded: no META-INF/native/")
        .contains(
            " is bundled (add the dependency io.spd4j:spd4j with the classifier linux-x86_64, or"
                + " build the library here with nvcc); no spd4j_cuda in ");
  }

  @Test
  void everyListedFunctionIsLookedFor() throws Exception {
    assertThat(names()).containsExactlyInAnyOrderElementsOf(listed("spd4jcuda", "cudart"));
  }

  @Test
  void anotherAbiVersionIsRefused() throws Exception {
    int need = spd4j_cuda_h.SPD4J_CUDA_ABI_VERSION();
    refused(
        "int spd4j_cuda_abi_version(void) { return " + (need + 1) + "; }",
        "ABI version " + (need + 1) + ", but these bindings need " + need);
  }

  @Test
  void aLibraryOfSomethingElseIsRefused() throws Exception {
    refused("int nothing;", "unresolved symbol: spd4j_cuda_abi_version");
  }

  @Test
  void aMissingFunctionIsRefused() throws Exception {
    String source = library(cudart_h.CUDART_VERSION());
    for (String missing : List.of("spd4j_cuda_step", "cudaGraphLaunch")) {
      refused(source.replace(missing, "another"), "unresolved symbol: " + missing);
    }
  }

  @Test
  void anotherCudaRuntimeIsRefused() throws Exception {
    int need = cudart_h.CUDART_VERSION() / 1000;
    refused(library(12090), "CUDA runtime 12, but these bindings need " + need);
  }

  @Test
  void anotherLayoutIsRefused() throws Exception {
    long need =
        Spd4jCudaAbi.STRUCTS.stream().mapToLong(struct -> 1 + struct.memberLayouts().size()).sum();
    refused(
        library(cudart_h.CUDART_VERSION()), "0 sizes and offsets, but these bindings need " + need);
  }

  private static List<String> names() {
    return Stream.of(spd4j_cuda_h.class, cudart_h.class).flatMap(BoundFunctions::names).toList();
  }

  /** Returns the functions in the lists that jextract makes the bindings from. */
  private static List<String> listed(String... lists) throws IOException {
    List<String> functions = new ArrayList<>();
    for (String list : lists) {
      for (String line : Files.readAllLines(Path.of("jextract", list + ".includes"))) {
        if (line.startsWith(FUNCTION)) {
          functions.add(line.substring(FUNCTION.length()));
        }
      }
    }
    return functions;
  }

  /** Returns the C source of a library of this ABI version that knows no structs. */
  private static String library(int runtime) {
    String others =
        names().stream()
            .filter(name -> !name.matches("spd4j_cuda_(abi_version|layout)|cudaRuntimeGetVersion"))
            .map("void %s(void) {}"::formatted)
            .collect(Collectors.joining("\n"));
    return """
    int spd4j_cuda_abi_version(void) { return %d; }
    long long spd4j_cuda_layout(void) { return 0; }
    int cudaRuntimeGetVersion(int *version) { *version = %d; return 0; }
    %s
    """
        .formatted(spd4j_cuda_h.SPD4J_CUDA_ABI_VERSION(), runtime, others);
  }

  private void refused(String source, String reason) throws Exception {
    Outcome.refused(folder, "spd4j_cuda", Map.of("report.cuda", "true"), source, reason);
  }
}
