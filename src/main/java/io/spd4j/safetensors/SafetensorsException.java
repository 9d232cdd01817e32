package io.spd4j.safetensors;

import java.io.IOException;
import java.nio.file.Path;

/**
 * Thrown when a file is not a valid safetensors file. The message names the file, the tensor if the
 * fault concerns one, and the fault.
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
   * Returns a name fit for a message: on one line, and shortened if a hostile file made it long.
   */
  static String quoted(String name) {
    String start = name.length() <= LONGEST_NAME ? name : name.substring(0, LONGEST_NAME) + "...";
    return "'" + start.replaceAll("\\p{Cntrl}", "?") + "'";
  }
}
