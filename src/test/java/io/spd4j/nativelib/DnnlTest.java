package io.spd4j.nativelib;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import com.fasterxml.jackson.core.JsonFactory;
import io.spd4j.FreshJvm;
import java.io.File;
import java.io.InputStream;
import java.net.JarURLConnection;
import java.net.URL;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Where libdnnl is loaded from, and the reason that is given if it is not loaded. */
class DnnlTest {
  private static final String FILE = System.mapLibraryName("dnnl");
  private static final String FOLDER = DnnlVersion.BUNDLE.folder();
  private static final String BUNDLED = FOLDER + "/libdnnl.so.3";
  private static final String FROM_BUNDLED = FILE + " was loaded from the bundled " + BUNDLED;
  private static final String VERSION = ", oneDNN 3.11.";

  @TempDir Path folder;

  /** Returns the jar that holds libdnnl for the platform that the tests run on. */
  private static Path jar() throws Exception {
    URL library = DnnlTest.class.getClassLoader().getResource(BUNDLED);
    assumeTrue(
        library != null || Platform.NAME.equals("linux-x86_64"),
        "the test's jar with libdnnl is for linux-x86_64, this is " + Platform.NAME);
    assertThat(library).isNotNull();
    URL jar = ((JarURLConnection) library.openConnection()).getJarFileURL();
    return Path.of(jar.toURI());
  }

  /** Reports from a new class loader; properties holds names and values in turn. */
  private static Outcome oneDnn(List<Path> classPath, String... properties) throws Exception {
    Map<String, String> all = new HashMap<>(Map.of("report.onednn", "true"));
    for (int i = 0; i < properties.length; i += 2) {
      all.put(properties[i], properties[i + 1]);
    }
    return Outcome.inNewLoader(classPath, all);
  }

  private static void assertWorks(Outcome outcome, String reason) {
    assertThat(outcome.reason()).startsWith(reason + VERSION);
    assertThat(outcome).extracting(Outcome::loaded, Outcome::used).containsExactly(true, "Gelu");
  }

  private static void assertRefused(Outcome outcome) {
    assertThat(outcome.used()).isEqualTo("oneDNN is not available: " + outcome.refusal());
  }

  @Test
  void everyClassLoaderGetsTheBundledLibrary() throws Exception {
    List<Path> classPath = List.of(Places.CLASSES, jar());
    for (int i = 0; i < 2; i++) {
      assertWorks(oneDnn(classPath, "spd4j.tmpdir", folder.toString()), FROM_BUNDLED);
      assertThat(folder).isEmptyDirectory();
    }
  }

  @Test
  void isLoadedOnce() throws Exception {
    jar();
    assertThat(NativeLibrary.dnnl()).isEqualTo(new NativeLibrary(true, FROM_BUNDLED));
    assertThat(NativeLibrary.dnnl()).isSameAs(NativeLibrary.dnnl());
  }

  @Test
  void aModuleFindsItOnTheClassPath() throws Exception {
    List<String> java =
        List.of(
            "--enable-native-access=io.spd4j",
            "-Dreport.onednn=true",
            "-cp",
            jar().toString(),
            "-p",
            Places.CLASSES + File.pathSeparator + Places.of(JsonFactory.class),
            "--patch-module",
            "io.spd4j=" + Places.TEST_CLASSES,
            "-m",
            "io.spd4j/" + Report.class.getName());
    assertWorks(Outcome.inNewJvm(java), FROM_BUNDLED);
  }

  @Test
  void aFileCanBeNamed() throws Exception {
    jar();
    for (String file : List.of("libdnnl.so.3", "libgomp.so.1")) {
      try (InputStream in =
          DnnlTest.class.getClassLoader().getResourceAsStream(FOLDER + "/" + file)) {
        Files.copy(in, folder.resolve(file));
      }
    }
    Path file = folder.resolve("libdnnl.so.3");
    assertWorks(
        oneDnn(List.of(Places.CLASSES), "dnnl.library.path", file.toString()),
        FILE + " was loaded from " + file + " (-Ddnnl.library.path)");
  }

  @Test
  void aMissingFileThatIsNamedIsAnError() throws Exception {
    Path missing = folder.resolve("missing.so");
    Outcome outcome =
        oneDnn(List.of(Places.CLASSES, jar()), "dnnl.library.path", missing.toString());
    assertRefused(outcome);
    assertThat(outcome.reason())
        .isEqualTo(
            FILE + " was not loaded: there is no file " + missing + " (-Ddnnl.library.path)");
  }

  @Test
  void withoutItTheRestWorks() throws Exception {
    Outcome outcome = oneDnn(List.of(Places.CLASSES));
    assertRefused(outcome);
    assertThat(outcome.reason())
        .startsWith(
            "%s was not loaded: no META-INF/native/%s/%s is bundled; no %s is bundled (put the jar"
                .formatted(FILE, Platform.NAME, FILE, BUNDLED))
        .contains(
            " org.bytedeco:dnnl:3.11-1.5.13:" + FOLDER.substring(FOLDER.lastIndexOf('/') + 1),
            " on the class path or start java with -Ddnnl.library.path=FILE, a libdnnl of version 3"
                + " built with OpenMP); no dnnl in java.library.path")
        .doesNotContain("\n");
    Places.assumeBuilt();
    assertThat(Outcome.inNewLoader(Places.CLASSES, Map.of()).loaded()).isTrue();
  }

  @Test
  void deniedNativeAccessIsNoReasonToLookForTheLibrary() throws Exception {
    String path =
        String.join(File.pathSeparator, "" + Places.CLASSES, "" + Places.TEST_CLASSES, "" + jar());
    String report = Report.class.getName();
    Outcome outcome =
        Outcome.inNewJvm(List.of(FreshJvm.DENIED, "-Dreport.onednn=true", "-cp", path, report));
    assertRefused(outcome);
    assertThat(outcome.reason())
        .endsWith("native access is denied: start java with --enable-native-access=ALL-UNNAMED");
  }

  @ParameterizedTest
  @CsvSource({
    "2, omp_set_num_threads, 'oneDNN 2.7, but these bindings need 3'",
    "4, omp_set_num_threads, 'oneDNN 4.7, but these bindings need 3'",
    "3, nothing, 'it is not built with OpenMP, so its number of threads cannot be set'"
  })
  void anotherLibraryIsRefused(int major, String function, String reason) throws Exception {
    refused(
        """
        struct version { int major, minor, patch; const char *hash; unsigned cpu, gpu; };
        static const struct version version = {%d, 7, 0, "", 0, 0};
        const struct version *dnnl_version(void) { return &version; }
        void %s(int threads) { (void) threads; }
        """
            .formatted(major, function),
        reason);
  }

  @Test
  void aLibraryOfSomethingElseIsRefused() throws Exception {
    refused("int nothing;", "unresolved symbol: dnnl_version");
  }

  private void refused(String source, String reason) throws Exception {
    assertRefused(Outcome.refused(folder, "dnnl", Map.of("report.onednn", "true"), source, reason));
  }
}
