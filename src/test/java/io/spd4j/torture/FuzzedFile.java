package io.spd4j.torture;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;

/** What Jazzer calls: a safetensors file, or a checkpoint, of these bytes. */
public final class FuzzedFile {
  private static final Path PATH = path();

  private FuzzedFile() {}

  private static Path path() {
    try {
      Path path = Files.createTempFile("spd4j", ".safetensors");
      path.toFile().deleteOnExit();
      return path;
    } catch (IOException e) {
      throw new AssertionError(e);
    }
  }

  /** Throws if something is not as documented. */
  public static void fuzzerTestOneInput(byte[] bytes) throws IOException {
    HostileFile.check(PATH, bytes, Long.MAX_VALUE); // much is Jazzer's own
  }
}
