package io.spd4j.safetensors;

import java.io.IOException;
import java.nio.file.Path;

/**
 * A file is not a valid safetensors file. The message says which file, which tensor where it is
 * about one, and what is wrong.
 */
public final class SafetensorsException extends IOException {
  private static final long serialVersionUID = 1L;
  private static final int LONGEST_NAME = 200;

  SafetensorsException(Path file, String problem) {
    this(file, problem, null);
  }

  SafetensorsException(Path file, String problem, Throwable cause) {
    super(file + ": " + problem, cause);
  }

  /**
   * A name as it can go into a message: on one line, and not as long as a hostile file makes it.
   */
  static String quoted(String name) {
    String start = name.length() <= LONGEST_NAME ? name : name.substring(0, LONGEST_NAME) + "...";
    return "'" + start.replaceAll("\\p{Cntrl}", "?") + "'";
  }
}
