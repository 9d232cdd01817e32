package io.spd4j.finetune.data;

import io.spd4j.finetune.HostileBytes;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.util.zip.GZIPInputStream;
import java.util.zip.GZIPOutputStream;
import org.junit.jupiter.api.Test;

/** The corpus is read only if its SHA-256 is right; this is the reader behind that check. */
class SpamAssassinHostileTest {
  @Test
  void aChangedArchiveIsReadOrRefused() throws IOException {
    byte[] tgz =
        SpamAssassinTest.tgz(
            "package/data/spam-1/1.txt", "the first mail of spam-1",
            "package/data/easy-ham-1/2.txt", "the second mail of easy-ham-1");
    byte[] tar = new GZIPInputStream(new ByteArrayInputStream(tgz)).readAllBytes();
    HostileBytes.feed(
        SpamAssassinHostileTest.class,
        tar,
        changed -> {
          try {
            SpamAssassin.read(gzip(changed));
          } catch (IOException e) {
            // as documented
          }
        });
  }

  private static byte[] gzip(byte[] bytes) throws IOException {
    ByteArrayOutputStream zipped = new ByteArrayOutputStream();
    try (GZIPOutputStream gzip = new GZIPOutputStream(zipped)) {
      gzip.write(bytes);
    }
    return zipped.toByteArray();
  }
}
