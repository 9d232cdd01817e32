package io.spd4j;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import com.fasterxml.jackson.core.JsonFactory;
import io.spd4j.nativelib.NativeLibrary;
import io.spd4j.nativelib.Platform;
import java.io.File;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * Runs the packaged jars in a new JVM, as a user would. The build runs this class after packaging.
 * A release (-Dspd4j.release=true) has its native libraries in a second jar.
 */
class PackagedJarIT {
  private static final boolean RELEASE = Boolean.getBoolean("spd4j.release");
  private static final String VECTOR = "--add-modules=jdk.incubator.vector";

  private static final String APP =
      """
      package app;

      import io.spd4j.*;
      import java.lang.foreign.*;
      import java.util.List;

      public class App {
        public static void main(String[] args) throws Exception {
          try (Arena arena = Arena.ofShared()) {
            MemorySegment data = arena.allocate(400, 4);
            MemorySegment gradient = arena.allocate(400, 4);
            gradient.setAtIndex(ValueLayout.JAVA_FLOAT, 99, 1f);
            Parameter p = Parameter.of("p", data, gradient);
            try (Adam adam = Adam.builder().group(0.5, new NoDecay(), List.of(p)).build()) {
              adam.step();
              io.spd4j.safetensors.SafetensorsWriter.write(
                  java.nio.file.Path.of(args[0]), List.of(), java.util.Map.of());
              System.out.println(adam.backend() + " " + data.getAtIndex(ValueLayout.JAVA_FLOAT, 99));
            }
          }
        }
      }
      """;

  @TempDir Path folder;
  private Path jar;
  private Path natives;
  private Path jackson;
  private Path app;

  @BeforeEach
  void compileAnApplication() throws Exception {
    jar = Path.of(System.getProperty("spd4j.jar"));
    natives = RELEASE ? Path.of(jar.toString().replace(".jar", "-" + Platform.NAME + ".jar")) : jar;
    assertThat(List.of(jar, natives)).allMatch(Files::isRegularFile);
    jackson =
        Path.of(JsonFactory.class.getProtectionDomain().getCodeSource().getLocation().toURI());
    app = Files.createDirectories(folder.resolve("classes"));
    Path source = Files.createDirectories(folder.resolve("src/app"));
    Files.writeString(source.resolve("App.java"), APP);
    Files.writeString(
        folder.resolve("src/module-info.java"), "module app { requires io.spd4j; exports app; }");
    String modules = path(jar, jackson);
    String info = folder.resolve("src/module-info.java").toString();
    FreshJvm.compile("-p", modules, "-d", "" + app, "" + source.resolve("App.java"), info);
  }

  private String onClassPath(String... flags) throws Exception {
    String path = path(jar, natives, jackson, app);
    return java(flags, "-cp", path, "app.App", folder.resolve("f").toString());
  }

  private String onModulePath(String... flags) throws Exception {
    String path = path(jar, natives, jackson, app);
    return java(flags, "-p", path, "-m", "app/app.App", folder.resolve("f").toString());
  }

  private static String path(Path... paths) {
    return String.join(File.pathSeparator, Arrays.stream(paths).map(Path::toString).toList());
  }

  private static String java(String[] flags, String... arguments) throws Exception {
    List<String> command = new ArrayList<>();
    command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
    command.addAll(List.of(flags));
    command.addAll(List.of(arguments));
    Process process = new ProcessBuilder(command).redirectErrorStream(true).start();
    String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    process.waitFor();
    return output.strip();
  }

  private static void assumeNative() {
    assumeTrue(NativeLibrary.spd4j().loaded(), NativeLibrary.spd4j().reason());
  }

  @Test
  void stepsNativelyOnTheClassPath() throws Exception {
    assumeNative();
    assertThat(onClassPath("--enable-native-access=ALL-UNNAMED")).isEqualTo("NATIVE -0.5");
  }

  @Test
  void stepsNativelyOnTheModulePath() throws Exception {
    assumeNative();
    assertThat(onModulePath("--enable-native-access=io.spd4j")).isEqualTo("NATIVE -0.5");
  }

  /** As in a runtime image that was linked without jdk.jfr. */
  @Test
  void stepsWithoutFlightRecorder() throws Exception {
    assumeNative();
    assertThat(onClassPath("--enable-native-access=ALL-UNNAMED", "--limit-modules", "java.base"))
        .isEqualTo("NATIVE -0.5");
    assertThat(onModulePath("--enable-native-access=io.spd4j", "--limit-modules", "app"))
        .isEqualTo("NATIVE -0.5");
  }

  @Test
  void stepsWithTheVectorApiWithoutANativeLibrary() throws Exception {
    String missing = "-Dspd4j.library.path=" + folder.resolve("none");
    assertThat(onClassPath(missing, VECTOR)).endsWith("VECTOR -0.5");
    assertThat(onModulePath(missing, VECTOR)).endsWith("VECTOR -0.5");
  }

  @Test
  void stepsInPlainJavaWithoutNativeLibraryAndVectorApi() throws Exception {
    String missing = "-Dspd4j.library.path=" + folder.resolve("none");
    assertThat(onClassPath(missing))
        .contains("steps run in plain Java; native: ")
        .endsWith("SCALAR -0.5");
    assertThat(onModulePath(missing)).endsWith("SCALAR -0.5");
  }

  @Test
  void stepsInPlainJavaIfNativeAccessIsDenied() throws Exception {
    assertThat(onClassPath(FreshJvm.DENIED))
        .contains("--enable-native-access")
        .endsWith("SCALAR -0.5");
    assertThat(onModulePath(FreshJvm.DENIED, VECTOR))
        .contains("vector: arrays are used by their addresses, but native access is denied")
        .contains("--enable-native-access=io.spd4j")
        .endsWith("SCALAR -0.5");
  }

  @Test
  void aForcedBackendIsUsedOrRefused() throws Exception {
    // No other backend is loaded, so the JVM prints no warnings.
    assertThat(onClassPath("-Dspd4j.backend=scalar")).isEqualTo("SCALAR -0.5");
    assertThat(onClassPath("-Dspd4j.backend=vector"))
        .contains("backend vector is not available", "--add-modules jdk.incubator.vector");
    assertThat(onClassPath("-Dspd4j.backend=vector", VECTOR, "-Dspd4j.vector.bits=64"))
        .contains("backend vector is not available", "64 bits, not 128, 256 or 512");
    assertThat(onClassPath("-Dspd4j.backend=abacus")).contains("unknown backend \"abacus\"");
  }

  @Test
  void theJarItselfPrintsDiagnostics() throws Exception {
    String report = java(new String[0], "-jar", jar.toString());
    assertThat(report)
        .startsWith("spd4j " + Diagnostics.version() + ", Java ")
        .contains("the Vector API is not resolved: add --add-modules jdk.incubator.vector")
        .contains("scalar")
        .contains("  onednn  no   libdnnl", "put the jar org.bytedeco:dnnl:")
        .contains("missing JDK flags: --add-modules jdk.incubator.vector")
        .contains("an application wants: java --enable-native-access=ALL-UNNAMED");
    assertThat(java(new String[] {VECTOR}, "-jar", jar.toString()))
        .contains(" bits")
        .doesNotContain("missing");
    if (RELEASE) {
      assertThat(report)
          .contains("native  no   libspd4j", "cuda    no   libspd4j_cuda")
          .contains("add the dependency io.spd4j:spd4j with the classifier " + Platform.NAME);
    } else if (NativeLibrary.spd4j().loaded()) {
      assertThat(report).contains("native  used libspd4j", ", tier ");
    }
  }

  @Test
  void diagnosticsNameTheFlagsAnApplicationLacks() throws Exception {
    String[] asApplication = {"-cp", jar.toString(), "io.spd4j.Diagnostics"};
    assertThat(java(new String[0], asApplication))
        .contains(
            "missing JDK flags: --add-modules jdk.incubator.vector"
                + " --enable-native-access=ALL-UNNAMED");
    assertThat(java(new String[] {"-Dspd4j.backend=cuda"}, asApplication))
        .contains("-Dspd4j.backend=cuda: no such backend here")
        .doesNotContain("used ");
  }
}
