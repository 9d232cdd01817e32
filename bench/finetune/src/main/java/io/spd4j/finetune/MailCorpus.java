package io.spd4j.finetune;

import static java.nio.charset.StandardCharsets.UTF_8;

import io.spd4j.finetune.data.Mail;
import io.spd4j.finetune.data.MailTokenizer;
import io.spd4j.finetune.data.Splits;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.SequencedMap;
import java.util.stream.IntStream;
import java.util.zip.CRC32;

/**
 * Mail, some of it held back for tests.
 *
 * @param testLimit the largest number of mails of a test set
 * @param length the largest number of tokens of a mail
 */
record MailCorpus(
    List<Mail> mails, double testFraction, int testLimit, int length, MailTokenizer tokenizer)
    implements Corpus {
  private static final String IN_DISTRIBUTION = "in-distribution";
  private static final String OUT_OF_DISTRIBUTION = "easy-ham-2 + spam-2";
  private static final String HARD_HAM = "hard-ham-1";

  static MailCorpus of(
      List<Mail> mails, JobOptions job, TrainingOptions training, MailTokenizer tokenizer) {
    int limit = job.testLimit == null ? Integer.MAX_VALUE : job.testLimit;
    return new MailCorpus(mails, job.testFraction, limit, training.length, tokenizer);
  }

  @Override
  public List<String> testSets() {
    return List.of(IN_DISTRIBUTION, OUT_OF_DISTRIBUTION, HARD_HAM);
  }

  @Override
  public Data data(long seed) {
    Splits splits = Splits.of(mails, testFraction, seed);
    SequencedMap<String, List<Mail>> tests = new LinkedHashMap<>();
    tests.put(IN_DISTRIBUTION, splits.idTest());
    tests.put(OUT_OF_DISTRIBUTION, splits.oodTest());
    tests.put(HARD_HAM, splits.hardHam());
    Data data = new Data(tokenizer.encode(splits.train(), length), new LinkedHashMap<>());
    tests.forEach((title, test) ->
        data.tests().put(title, tokenizer.encode(evenly(test, testLimit), length)));
    return data;
  }

  /** Returns elements at even distances, because a test set can have its ham before its spam. */
  static <T> List<T> evenly(List<T> all, int limit) {
    int count = Math.min(limit, all.size());
    return IntStream.range(0, count)
        .mapToObj(i -> all.get((int) ((long) i * all.size() / count)))
        .toList();
  }

  @Override
  public String fingerprint() {
    CRC32 crc = new CRC32();
    for (Mail mail : mails) {
      crc.update((mail.collection() + "/" + mail.name() + "\n" + mail.text()).getBytes(UTF_8));
    }
    return "%d mails with CRC-32 %08x".formatted(mails.size(), crc.getValue());
  }
}
