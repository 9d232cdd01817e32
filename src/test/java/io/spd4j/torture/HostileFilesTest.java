package io.spd4j.torture;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * Changed files end in the exceptions that are documented or are read whole. They take no more
 * memory than their size allows, and a checkpoint that is refused has changed nothing.
 */
class HostileFilesTest {
  private static final int FILES = 50;

  @TempDir private Path folder;

  @Test
  void changedFilesAreRefusedOrRead() throws IOException {
    List<byte[]> valid = HostileFile.valid(folder);
    Path path = folder.resolve("changed");
    Rounds.run(
        HostileFilesTest.class,
        20,
        (random, rounds) -> {
          for (int i = 0; i < FILES; i++) {
            byte[] file = valid.get(random.nextInt(valid.size()));
            byte[] other = valid.get(random.nextInt(valid.size()));
            byte[] changed = Mutations.of(file, other, random);
            try {
              long most = 1_000_000 + 40L * changed.length;
              rounds.count("hostile files: " + HostileFile.check(path, changed, most), 1);
            } catch (Exception | Error e) {
              Path kept =
                  Files.createDirectories(Path.of("target", "torture")).resolve("hostile-file");
              Files.write(kept, changed);
              throw new AssertionError("file " + i + ", kept as " + kept, e);
            }
            rounds.count("hostile files", 1);
          }
        });
  }
}
