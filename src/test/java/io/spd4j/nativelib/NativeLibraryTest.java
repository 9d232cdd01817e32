package io.spd4j.nativelib;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.abort;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import com.fasterxml.jackson.core.JsonFactory;
import io.spd4j.FreshJvm;
import java.io.File;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.jar.Attributes;
import java.util.jar.JarEntry;
import java.util.jar.JarOutputStream;
import java.util.jar.Manifest;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class NativeLibraryTest {
  private static final String BUNDLED = "META-INF/native/" + Platform.NAME + "/" + Places.FILE;
  private static final String FROM_BUNDLED =
      Places.FILE + " was loaded from the bundled " + BUNDLED;
  private static final String ALLOWED = "--enable-native-access=ALL-UNNAMED";

  @TempDir Path folder;

  @BeforeEach
  void built() {
    Places.assumeBuilt();
  }

  @Test
  void loadsTheBundledLibraryOnce() {
    NativeLibrary library = NativeLibrary.spd4j();
    assertThat(library).isEqualTo(new NativeLibrary(true, FROM_BUNDLED));
    assertThat(NativeLibrary.spd4j()).isSameAs(library);
    assertThat(Isa.best().name()).isIn("baseline", "x86-64-v3", "x86-64-v4", "armv8-a");
  }

  @Test
  void everyClassLoaderGetsTheBundledLibrary() throws Exception {
    Map<String, String> tmpdir = Map.of("spd4j.tmpdir", folder.toString());
    for (int i = 0; i < 2; i++) {
      Outcome outcome = Outcome.inNewLoader(Places.CLASSES, tmpdir);
      assertThat(outcome).isEqualTo(new Outcome(true, Isa.best().name(), FROM_BUNDLED));
      assertThat(folder).isEmptyDirectory();
    }
  }

  @Test
  void everyClassLoaderGetsTheLibraryThatIsNamed() throws Exception {
    Path tmpdir = Files.createDirectory(folder.resolve("tmp"));
    Path library = Files.copy(Places.library(), folder.resolve("my-" + Places.FILE));
    for (int i = 0; i < 2; i++) {
      Outcome outcome =
          Outcome.inNewLoader(
              Places.CLASSES,
              Map.of("spd4j.library.path", library.toString(), "spd4j.tmpdir", tmpdir.toString()));
      assertThat(outcome.loaded()).as(outcome.reason()).isTrue();
      assertThat(outcome.reason())
          .isEqualTo(Places.FILE + " was loaded from " + library + " (-Dspd4j.library.path)");
      assertThat(tmpdir).isEmptyDirectory();
    }
  }

  @Test
  void fallsBackToTheLibraryPath() throws Exception {
    Outcome outcome =
        Outcome.onClassPath(
            Places.classesAlone(folder),
            ALLOWED,
            "-Djava.library.path=" + Places.library().getParent());
    assertThat(outcome.loaded()).as(outcome.reason()).isTrue();
    assertThat(outcome.reason()).isEqualTo(Places.FILE + " was loaded from java.library.path");
  }

  @Test
  void processesThatExtractAtTheSameTimeDoNotInterfere() throws Exception {
    Path old = Files.writeString(folder.resolve(Places.FILE), "left behind");
    List<String> java =
        new ArrayList<>(Outcome.classPath(Places.CLASSES, ALLOWED, "-Dspd4j.tmpdir=" + folder));
    java.add("wait");
    List<Process> processes = new ArrayList<>();
    for (int i = 0; i < 2; i++) {
      processes.add(Outcome.start(List.of(), java));
    }
    for (Process process : processes) {
      process.getOutputStream().close();
    }
    for (Process process : processes) {
      assertThat(Outcome.of(process).reason()).isEqualTo(FROM_BUNDLED);
    }
    assertThat(folder).isDirectoryContaining(old::equals);
    assertThat(folder.toFile().list()).hasSize(1);
  }

  @Test
  void aTmpdirThatIsMissingIsNamed() throws Exception {
    Path missing = folder.resolve("missing");
    Outcome outcome =
        Outcome.inNewLoader(Places.CLASSES, Map.of("spd4j.tmpdir", missing.toString()));
    assertThat(outcome.refusal())
        .startsWith(
            Places.FILE
                + " was not loaded: "
                + missing
                + " cannot be written to (java.nio.file.NoSuchFileException: ")
        .contains(
            "start java with -Dspd4j.tmpdir=FOLDER, a folder that can be written to; no spd4j")
        .contains("java.library.path");
  }

  @Test
  void aFullTmpdirIsNamed() throws Exception {
    Outcome outcome = mounted("size=4k");
    assertThat(outcome.refusal())
        .contains(folder + " cannot be written to (")
        .contains("; no spd4j");
  }

  @Test
  void aTmpdirThatForbidsExecutionIsNamed() throws Exception {
    Optional<Path> found = Places.noexec();
    Path noexec = found.orElse(folder);
    Outcome outcome =
        found.isPresent()
            ? Outcome.inNewLoader(Places.CLASSES, Map.of("spd4j.tmpdir", noexec.toString()))
            : mounted("noexec");
    assertThat(outcome.refusal())
        .startsWith(Places.FILE + " was not loaded: " + noexec + " does not allow execution (")
        .contains(
            "start java with -Dspd4j.tmpdir=FOLDER, a folder that is on a file system that allows"
                + " execution; no spd4j in java.library.path");
  }

  /** Runs a JVM whose tmpdir is a file system with these options, in a new mount namespace. */
  private Outcome mounted(String options) throws IOException, InterruptedException {
    String mount = "mount -t tmpfs -o " + options + " tmpfs \"$0\" && exec \"$@\"";
    List<String> prefix = List.of("unshare", "-rm", "sh", "-c", mount, folder.toString());
    List<String> probe = new ArrayList<>(prefix);
    probe.add("true");
    try {
      assumeTrue(
          new ProcessBuilder(probe).start().waitFor() == 0, "this user may not mount a tmpfs");
    } catch (IOException e) {
      abort("this system has no mount namespaces: " + e.getMessage());
    }
    return Outcome.of(
        Outcome.start(
            prefix, Outcome.classPath(Places.CLASSES, ALLOWED, "-Dspd4j.tmpdir=" + folder)));
  }

  @Test
  void loadsFromANamedModule() throws Exception {
    Outcome outcome =
        Outcome.inNewJvm(modulePath("--enable-native-access=io.spd4j", Places.CLASSES));
    assertThat(outcome.reason()).isEqualTo(FROM_BUNDLED);
  }

  /** As in a release, a module that no other module requires holds the library. */
  @Test
  void loadsFromANativesJarOnTheModulePath() throws Exception {
    Path jar = folder.resolve("natives.jar");
    Manifest manifest = new Manifest();
    manifest.getMainAttributes().put(Attributes.Name.MANIFEST_VERSION, "1.0");
    manifest
        .getMainAttributes()
        .putValue("Automatic-Module-Name", "io.spd4j.natives." + Platform.NAME.replace('-', '.'));
    try (JarOutputStream out = new JarOutputStream(Files.newOutputStream(jar), manifest)) {
      out.putNextEntry(new JarEntry(BUNDLED));
      Files.copy(Places.library(), out);
    }
    Outcome outcome =
        Outcome.inNewJvm(
            modulePath("--enable-native-access=io.spd4j", Places.classesAlone(folder), jar));
    assertThat(outcome.reason()).isEqualTo(FROM_BUNDLED);
  }

  @Test
  void namesTheFlagThatAllowsNativeAccessOnTheClassPath() throws Exception {
    Outcome outcome = Outcome.onClassPath(Places.CLASSES, FreshJvm.DENIED);
    assertThat(outcome.refusal())
        .endsWith("native access is denied: start java with --enable-native-access=ALL-UNNAMED");
  }

  @Test
  void namesTheFlagThatAllowsNativeAccessOfTheModule() throws Exception {
    Outcome outcome = Outcome.inNewJvm(modulePath(FreshJvm.DENIED, Places.CLASSES));
    assertThat(outcome.refusal())
        .endsWith("native access is denied: start java with --enable-native-access=io.spd4j");
  }

  @Test
  void namesTheFlagWhereTheBindingsAreDenied() {
    assertThat(failing(new IllegalCallerException("Illegal native access")))
        .isEqualTo(
            Places.FILE
                + " from the bundled "
                + BUNDLED
                + " cannot be used: native access is denied: start java with "
                + ALLOWED);
  }

  @Test
  void namesWhatElseKeepsTheBindingsFromBeingInitialized() {
    assertThat(failing(new UnsupportedOperationException("no linker")))
        .endsWith(" cannot be used: java.lang.UnsupportedOperationException: no linker");
  }

  private static String failing(RuntimeException cause) {
    NativeLibrary library =
        NativeLibrary.load(
            "spd4j",
            List.of(NativeLibrary.Bundle.own("spd4j")),
            () -> {
              throw new ExceptionInInitializerError(cause);
            });
    assertThat(library.loaded()).isFalse();
    return library.reason();
  }

  private static List<String> modulePath(String flag, Path... path) {
    String entries = Places.of(JsonFactory.class).toString();
    for (Path entry : path) {
      entries += File.pathSeparator + entry;
    }
    return List.of(
        flag,
        "-p",
        entries,
        "--patch-module",
        "io.spd4j=" + Places.TEST_CLASSES,
        "-m",
        "io.spd4j/" + Report.class.getName());
  }
}
