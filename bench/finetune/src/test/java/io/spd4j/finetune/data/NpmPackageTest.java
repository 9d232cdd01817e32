package io.spd4j.finetune.data;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.spd4j.finetune.cli.Failure;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Uses a shell script instead of npm. */
class NpmPackageTest {
  private static final String FILE = "acme-two-mails-1.2.3.tgz";

  /** The SHA-256 of "mails\n". */
  private static final NpmPackage MAILS =
      new NpmPackage(
          "@acme/two-mails",
          "1.2.3",
          "30afc733edc68500c1697b96b97d55598d8dfcf1f480d7c6cb6abb35ecf6a35b");

  private static final String NONE = "no-such-command";

  @TempDir private Path folder;
  private Path cache;

  @BeforeEach
  void cache() {
    cache = folder.resolve("not/yet/there");
  }

  @Test
  void fetchesOnceAndKeepsTheFileOnly() throws Exception {
    String npm = npm("echo mails > " + FILE + "; echo $1 $2 > " + folder.resolve("called"));

    assertThat(MAILS.bytes(cache, npm)).isEqualTo("mails\n".getBytes(UTF_8));
    assertThat(folder.resolve("called")).hasContent("pack @acme/two-mails@1.2.3");
    assertThat(cache).isDirectoryNotContaining(file -> !file.endsWith(FILE));
    assertThat(MAILS.bytes(cache, NONE)).isEqualTo("mails\n".getBytes(UTF_8));
  }

  @Test
  void saysWhatToDoWithoutNpm() {
    assertThatThrownBy(() -> MAILS.bytes(cache, NONE))
        .isInstanceOf(Failure.class)
        .hasMessageContaining(NONE)
        .hasMessageContaining(FILE)
        .hasMessageContaining("npm pack @acme/two-mails@1.2.3")
        .hasMessageEndingWith(" into " + cache);
  }

  @Test
  void aFetchThatFailsLeavesNothing() throws IOException {
    String npm =
        npm(
            "echo mails > "
                + FILE
                + "; echo npm warn; echo npm error code E1; echo npm error; exit 1");

    assertThatThrownBy(() -> MAILS.bytes(cache, npm))
        .isInstanceOf(Failure.class)
        .hasMessageContaining("(npm error code E1)");
    assertThat(cache).isEmptyDirectory();
  }

  @Test
  void aFetchOfNothingFails() throws IOException {
    String npm = npm("true");

    assertThatThrownBy(() -> MAILS.bytes(cache, npm)).isInstanceOf(Failure.class);
    assertThat(cache).isEmptyDirectory();
  }

  @Test
  void aFetchOfAnotherFileLeavesNothing() throws IOException {
    String npm = npm("echo mai > " + FILE);

    assertThatThrownBy(() -> MAILS.bytes(cache, npm))
        .isInstanceOf(Failure.class)
        .hasMessageContaining("SHA-256");
    assertThat(cache).isEmptyDirectory();
  }

  @Test
  void aWrongFileIsNotReplaced() throws IOException {
    Files.createDirectories(cache);
    Files.writeString(cache.resolve(FILE), "mai");

    assertThatThrownBy(() -> MAILS.bytes(cache, NONE))
        .isInstanceOf(Failure.class)
        .hasMessageStartingWith(cache.resolve(FILE) + " has the SHA-256 ")
        .hasMessageContaining("delete it");
  }

  @Test
  void refusesACacheThatIsNotAFolder() throws IOException {
    Files.createDirectories(cache.getParent());
    Files.createFile(cache);

    assertThatThrownBy(() -> MAILS.bytes(cache, NONE))
        .isInstanceOf(Failure.class)
        .hasMessageContaining(cache.toString());
  }

  private String npm(String script) throws IOException {
    Path npm = folder.resolve("npm.sh");
    Files.writeString(npm, "#!/bin/sh\n" + script + "\n");
    Files.setPosixFilePermissions(npm, PosixFilePermissions.fromString("rwx------"));
    return npm.toString();
  }
}
