package io.spd4j.safetensors;

import java.io.IOException;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.attribute.BasicFileAttributes;

/**
 * Refuses folders, which can be opened but not read; pipes, which keep their opener waiting; and
 * devices, which have no size and are not to be replaced.
 */
final class RegularFile {
  private RegularFile() {}

  /**
   * Checks what is there, at the end of links.
   *
   * @throws NoSuchFileException if nothing is there
   * @throws FileSystemException if it is not a file with bytes
   */
  static void require(Path path) throws IOException {
    BasicFileAttributes attributes = Files.readAttributes(path, BasicFileAttributes.class);
    if (!attributes.isRegularFile()) {
      String kind = attributes.isDirectory() ? "a folder" : "a pipe, a device or the like";
      throw new FileSystemException(path.toString(), null, "it is " + kind + ", not a file");
    }
  }

  static void requireIfExists(Path path) throws IOException {
    try {
      require(path);
    } catch (NoSuchFileException e) {
      // what is to be
    }
  }
}
