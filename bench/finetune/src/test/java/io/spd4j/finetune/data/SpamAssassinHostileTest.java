package io.spd4j.finetune.data;

import io.spd4j.finetune.HostileFiles;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.util.zip.GZIPInputStream;
import java.util.zip.GZIPOutputStream;
import org.junit.jupiter.api.Test;

/**
 * The corpus, an npm package, is read only if its SHA-256 is right; this is the reader behind that
 * check.
 */
public class SpamAssassinHostileTest {
  /** What Jazzer calls, with a package that is not yet compressed. */
  public static void fuzzerTestOneInput(byte[] tar) throws IOException {
    byte[] tgz = gzip(tar);
    try {
      SpamAssassin.read(tgz);
    } catch (IOException e) {
      // as documented
    }
  }

  private static byte[] gzip(byte[] bytes) throws IOException {
    ByteArrayOutputStream zipped = new ByteArrayOutputStream();
    try (GZIPOutputStream gzip = new GZIPOutputStream(zipped)) {
      gzip.write(bytes);
    }
    return zipped.toByteArray();
  }

  @Test
  void anyPackageIsReadOrRefused() throws Exception {
    byte[] tgz =
        SpamAssassinTest.tgz(
            "package/data/spam-1/1.txt", "the first mail of spam-1",
            "package/data/easy-ham-1/2.txt", "the second mail of easy-ham-1");
    byte[] tar = new GZIPInputStream(new ByteArrayInputStream(tgz)).readAllBytes();
    HostileFiles.feed(
        SpamAssassinHostileTest.class, tar, SpamAssassinHostileTest::fuzzerTestOneInput);
  }
}
