package io.spd4j.finetune;

import static java.nio.charset.StandardCharsets.UTF_8;

import io.spd4j.finetune.cli.Failure;
import io.spd4j.finetune.data.Example;
import io.spd4j.finetune.data.Mail;
import io.spd4j.finetune.data.MailTokenizer;
import io.spd4j.finetune.data.Splits;
import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.SequencedMap;
import java.util.SplittableRandom;
import java.util.stream.IntStream;
import java.util.zip.CRC32;

/**
 * Mail, some of it held back for tests.
 *
 * @param testLimit the largest number of mails of a test set
 * @param length the largest number of tokens of a mail
 * @param planted whether there is a test set in which a planted word disagrees with the label
 */
record MailCorpus(
    List<Mail> mails,
    double testFraction,
    int testLimit,
    int length,
    boolean planted,
    MailTokenizer tokenizer)
    implements Corpus {
  private static final String IN_DISTRIBUTION = "in-distribution";
  private static final String OUT_OF_DISTRIBUTION = "easy-ham-2 + spam-2";
  private static final String HARD_HAM = "hard-ham-1";

  /** Words that a mail may begin with. The corpus has each of them in fewer than ten mails. */
  private static final String[] PLANTED = {"walnut", "lantern"};

  private static final String DISAGREES = "planted word disagrees";

  /** The seed by which the test set is held back if there is a validation set, too. */
  private static final long FIXED = 0;

  static MailCorpus of(
      List<Mail> mails, JobOptions job, TrainingOptions training, MailTokenizer tokenizer) {
    int limit = job.testLimit == null ? Integer.MAX_VALUE : job.testLimit;
    boolean planted = job.variations.stream().anyMatch(v -> v.spurious() != null);
    return new MailCorpus(mails, job.testFraction, limit, training.length, planted, tokenizer);
  }

  @Override
  public List<String> testSets() {
    return planted
        ? List.of(IN_DISTRIBUTION, DISAGREES, OUT_OF_DISTRIBUTION, HARD_HAM)
        : List.of(IN_DISTRIBUTION, OUT_OF_DISTRIBUTION, HARD_HAM);
  }

  /**
   * {@inheritDoc} With a validation set, the test set is the same for every seed, so that no mail
   * serves both to choose settings and to test them.
   */
  @Override
  public Data data(long seed, double validation, Variation variation) throws Failure {
    Splits splits = Splits.of(mails, testFraction, validation > 0 ? FIXED : seed);
    SplittableRandom random = new SplittableRandom(seed);
    List<Mail> train = splits.train();
    List<Mail> validating = List.of();
    SplittableRandom order = random.split();
    if (validation > 0) {
      List<Mail> shuffled = new ArrayList<>(train);
      Collections.shuffle(shuffled, order);
      int count = (int) Math.round(validation * shuffled.size());
      List<List<Mail>> parts = Splits.cut(shuffled, count);
      validating = withBothClasses(parts.getFirst(), "for validation");
      train = parts.getLast();
    }
    if (variation.mails() != null) {
      if (variation.mails() > train.size()) {
        throw Failure.ofInput(
            "--data %s: there are %d mails to train with".formatted(variation, train.size()));
      }
      train = Splits.cut(train, variation.mails()).getFirst();
    }
    withBothClasses(train, "to train with");
    SplittableRandom noise = random.split();
    Double spurious = variation.spurious();
    SequencedMap<String, List<Example>> tests = new LinkedHashMap<>();
    List<Mail> idTest = evenly(splits.idTest(), testLimit);
    tests.put(IN_DISTRIBUTION, encode(plant(idTest, spurious, random.split())));
    if (spurious != null) {
      tests.put(DISAGREES, encode(plant(idTest, 0.0, order))); // whatever is drawn, none agrees
    }
    tests.put(OUT_OF_DISTRIBUTION, encode(evenly(splits.oodTest(), testLimit)));
    tests.put(HARD_HAM, encode(evenly(splits.hardHam(), testLimit)));
    return new Data(
        mislabel(encode(plant(train, spurious, random.split())), variation.noise(), noise),
        mislabel(encode(plant(validating, spurious, random.split())), variation.noise(), noise),
        tests);
  }

  private static List<Mail> withBothClasses(List<Mail> some, String what) throws Failure {
    if (some.stream().map(Mail::label).distinct().count() < 2) {
      throw Failure.ofInput(
          "the %d mails %s lack ham or spam: use more of them".formatted(some.size(), what));
    }
    return some;
  }

  private List<Example> encode(List<Mail> some) {
    return tokenizer.encode(some, length);
  }

  /**
   * Begins each mail with a word.
   *
   * @param agrees the probability that it is the word of the mail's label; null: plants none
   */
  private static List<Mail> plant(List<Mail> mails, Double agrees, SplittableRandom random) {
    if (agrees == null) {
      return mails;
    }
    List<Mail> planted = new ArrayList<>();
    for (Mail mail : mails) {
      boolean right = random.nextDouble() < agrees;
      String word = PLANTED[right ? mail.label() : 1 - mail.label()];
      planted.add(new Mail(mail.collection(), mail.name(), word + " " + mail.text()));
    }
    return planted;
  }

  /** Gives a share of the examples, rounded to a whole number of them, the wrong label. */
  private static List<Example> mislabel(
      List<Example> examples, double share, SplittableRandom random) {
    List<Integer> order = new ArrayList<>(IntStream.range(0, examples.size()).boxed().toList());
    Collections.shuffle(order, random);
    List<Example> mislabeled = new ArrayList<>(examples);
    for (int i : order.subList(0, (int) Math.round(share * examples.size()))) {
      Example example = examples.get(i);
      mislabeled.set(i, new Example(example.tokens(), 1 - example.label()));
    }
    return mislabeled;
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
