package io.spd4j.nativelib;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The reason that is given if there is no library to load. Needs no native build. */
class NoNativeLibraryTest {
  @TempDir Path folder;

  @Test
  void aMissingFileThatIsNamedIsAnError() throws Exception {
    Path missing = folder.resolve("missing.so");
    assertThat(named(missing))
        .isEqualTo(
            Places.FILE
                + " was not loaded: there is no file "
                + missing
                + " (-Dspd4j.library.path)");
  }

  @Test
  void aFileThatIsNamedAndNoLibraryIsAnError() throws Exception {
    Path text = Files.writeString(folder.resolve("text.so"), "this is not a library");
    assertThat(named(text))
        .startsWith(Places.FILE + " was not loaded: -Dspd4j.library.path: ")
        .contains(text.toString());
  }

  private static String named(Path file) throws Exception {
    Outcome outcome =
        Outcome.inNewLoader(Places.CLASSES, Map.of("spd4j.library.path", file.toString()));
    return outcome.refusal();
  }

  @Test
  void saysEverythingThatWasTried() throws Exception {
    Outcome outcome = Outcome.inNewLoader(Places.classesAlone(folder), Map.of());
    assertThat(outcome.refusal())
        .startsWith(
            Places.FILE
                + " was not loaded: no META-INF/native/"
                + Platform.NAME
                + "/"
                + Places.FILE
                + " is bundled (add the dependency io.spd4j:spd4j with the classifier "
                + Platform.NAME
                + ", or build the library here with a C compiler); no spd4j in")
        .contains("java.library.path");
  }

  @Test
  void aDamagedBundledLibraryIsNotBlamedOnTheTmpdir() throws Exception {
    Path classes = Places.classesAlone(folder);
    Path bundled = classes.resolve("META-INF/native/" + Platform.NAME + "/" + Places.FILE);
    Files.createDirectories(bundled.getParent());
    Files.writeString(bundled, "this is not a library");
    Path tmpdir = Files.createDirectory(folder.resolve("tmp"));
    Outcome outcome = Outcome.inNewLoader(classes, Map.of("spd4j.tmpdir", tmpdir.toString()));
    assertThat(outcome.refusal())
        .startsWith(Places.FILE + " was not loaded: " + tmpdir)
        .contains("; no spd4j in")
        .doesNotContain("spd4j.tmpdir=");
    assertThat(tmpdir).isEmptyDirectory();
  }

  @Test
  void anotherLibraryCanBeLookedFor() {
    NativeLibrary library =
        NativeLibrary.load(
            "spd4j_absent", List.of(NativeLibrary.Bundle.own("spd4j_absent")), Optional::empty);
    assertThat(library.loaded()).isFalse();
    assertThat(library.reason())
        .startsWith(System.mapLibraryName("spd4j_absent") + " was not loaded: ")
        .contains("no spd4j_absent in java.library.path");
  }
}
