package io.spd4j.finetune.report;

import io.spd4j.finetune.cli.Failure;
import io.spd4j.safetensors.AtomicFile;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Optional;

/** Writes a report's files. */
public final class ReportFiles {
  /** The content of a file. */
  public interface Content {
    /** Writes the whole content. */
    void write(OutputStream out) throws IOException;
  }

  /**
   * The files that were written.
   *
   * @param html the report for people
   * @param json all of the report's numbers
   * @param warning one sentence about what the report lacks
   */
  public record Written(Path html, Path json, Optional<String> warning) {}

  private ReportFiles() {}

  /**
   * Checks the option --name.
   *
   * @throws Failure if it is not a prefix of a file name
   */
  public static void checkName(String name) throws Failure {
    if (Path.of(name).getNameCount() != 1 || name.isBlank() || Path.of(name).isAbsolute()) {
      throw Failure.ofInput("--name must be a prefix of a file name, not a path: " + name);
    }
  }

  /**
   * Writes name.json and then name.html, or replaces them. Each file appears complete or not at
   * all.
   *
   * @param folder created if necessary
   * @param name the name of the files, without an extension
   * @throws Failure if a file cannot be written
   */
  public static Written write(Path folder, String name, FinetuneReport report) throws Failure {
    Path json = folder.resolve(name + ".json");
    write(json, out -> Json.write(JsonReport.of(report), out));
    HtmlReport page = HtmlReport.of(report);
    Path html = folder.resolve(name + ".html");
    write(html, out -> out.write(page.html().getBytes(StandardCharsets.UTF_8)));
    return new Written(html, json, page.warning());
  }

  /**
   * Writes or replaces a file, which appears complete or not at all.
   *
   * @throws Failure if it cannot be written
   */
  public static void write(Path target, Content content) throws Failure {
    try {
      Files.createDirectories(target.toAbsolutePath().getParent());
      AtomicFile.write(target, content::write);
    } catch (IOException e) {
      throw Failure.ofOutput(
          ("%s cannot be written (%s): check the folder's permissions and the space left, or "
                  + "choose another folder")
              .formatted(target, reason(e)));
    }
  }

  /** Prefers the file system's reason, if there is one, to a message with only the file's name. */
  public static String reason(IOException e) {
    return e instanceof FileSystemException file && file.getReason() != null
        ? file.getReason()
        : e.toString();
  }
}
