package io.spd4j;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

/** {@code -Dspd4j.backend} and {@link Adam.Builder#backend} choose the backend. */
class BackendChoiceTest {
  private static final String PROPERTY = "spd4j.backend";

  private final String before = System.getProperty(PROPERTY);

  @AfterEach
  void restore() {
    if (before == null) {
      System.clearProperty(PROPERTY);
    } else {
      System.setProperty(PROPERTY, before);
    }
  }

  private static Backend built() {
    try (Adam adam = Adam.builder().group(ParameterGroup.builder().build()).build()) {
      return adam.backend();
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"", "cpu", "VECTOR", "vector ", "opencl"})
  void anUnknownNameIsRefused(String name) {
    System.setProperty(PROPERTY, name);
    assertThatIllegalArgumentException()
        .isThrownBy(BackendChoiceTest::built)
        .withMessageContainingAll("unknown backend \"" + name + "\"", "native", "vector", "scalar");
    System.clearProperty(PROPERTY);
    assertThat(built()).isNotNull();
  }

  @ParameterizedTest
  @EnumSource(names = {"VECTOR", "SCALAR"})
  void theNamedBackendIsUsed(Backend backend) {
    System.setProperty(PROPERTY, backend.id());
    assertThat(built()).isEqualTo(backend);
  }

  @Test
  void theBuilderOverridesTheProperty() {
    System.setProperty(PROPERTY, "no such thing");
    try (Adam adam =
        Adam.builder().group(ParameterGroup.builder().build()).backend(Backend.SCALAR).build()) {
      assertThat(adam.backend()).isEqualTo(Backend.SCALAR);
    }
  }

  @Test
  void theFirstAvailableBackendIsTheDefault() {
    System.clearProperty(PROPERTY);
    assertThat(built())
        .isEqualTo(
            Backend.availability().stream()
                .filter(Backend.Availability::available)
                .findFirst()
                .orElseThrow()
                .backend());
  }

  /** Prints whether a forced backend was built or refused, in a JVM without the Vector API. */
  static final class Forced {
    public static void main(String[] args) {
      try (Adam adam = Adam.builder().group(ParameterGroup.builder().build()).build()) {
        System.out.println("built " + adam.backend());
      } catch (IllegalStateException e) {
        System.out.println("refused " + e.getMessage());
      }
    }
  }

  @Test
  void aForcedBackendThatIsNotAvailableIsAnError(@TempDir Path folder) throws Exception {
    assertThat(forced(folder, "-Dspd4j.backend=vector"))
        .startsWith("refused backend vector is not available: ")
        .contains("--add-modules jdk.incubator.vector");
    assertThat(
            forced(
                folder,
                "-Dspd4j.backend=native",
                "-Dspd4j.library.path=" + folder.resolve("missing.so")))
        .startsWith("refused backend native is not available: ")
        .contains("missing.so");
    assertThat(forced(folder, "-Dspd4j.backend=scalar")).isEqualTo("built SCALAR");
  }

  private static String forced(Path folder, String... flags) throws Exception {
    return FreshJvm.run(folder, List.of(flags), Forced.class).strip();
  }
}
