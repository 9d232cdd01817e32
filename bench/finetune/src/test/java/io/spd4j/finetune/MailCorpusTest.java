package io.spd4j.finetune;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.spd4j.finetune.cli.Failure;
import io.spd4j.finetune.data.Example;
import io.spd4j.finetune.data.Mail;
import io.spd4j.finetune.data.MailCollection;
import io.spd4j.finetune.data.MailTokenizer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class MailCorpusTest {
  /** Mails of a collection. */
  private static final int HAM = 170;

  private static final int SPAM = 30;

  private static MailTokenizer tokenizer;
  private static MailCorpus corpus;

  /** The right label of each mail by its tokens. */
  private static final Map<String, Integer> LABELS = new HashMap<>();

  @BeforeAll
  static void open() throws Exception {
    tokenizer = new MailTokenizer();
    List<Mail> mails = new ArrayList<>();
    for (MailCollection collection : MailCollection.values()) {
      int count = collection.spam() ? SPAM : HAM;
      for (int i = 0; i < count; i++) {
        String text = "number %d of collection %d".formatted(i, collection.ordinal());
        mails.add(new Mail(collection, i + ".txt", text));
      }
    }
    corpus = new MailCorpus(mails, 0.2, Integer.MAX_VALUE, 32, true, tokenizer);
    tokenizer.encode(mails, 32).forEach(e -> LABELS.put(text(e.tokens(), 0), e.label()));
  }

  @AfterAll
  static void close() {
    tokenizer.close();
  }

  private static Data data(long seed, double validation, String variation) throws Failure {
    return corpus.data(seed, validation, Variation.of(variation));
  }

  /** Returns the tokens without the first and the last, and without planted ones. */
  private static String text(int[] tokens, int planted) {
    return Arrays.toString(Arrays.copyOfRange(tokens, 1 + planted, tokens.length - 1));
  }

  private static Set<String> texts(List<Example> examples) {
    Set<String> texts = new HashSet<>();
    examples.forEach(example -> texts.add(text(example.tokens(), 0)));
    return texts;
  }

  private static long wrong(List<Example> examples) {
    return examples.stream().filter(e -> LABELS.get(text(e.tokens(), 0)) != e.label()).count();
  }

  /** Returns the share of the mails that begin with the word of their label. */
  private static double agreeing(List<Example> examples) {
    int[] words = {token("walnut"), token("lantern")};
    long agreeing = examples.stream().filter(e -> e.tokens()[1] == words[e.label()]).count();
    assertThat(examples).allMatch(e -> e.tokens()[1] == words[0] || e.tokens()[1] == words[1]);
    return (double) agreeing / examples.size();
  }

  private static int token(String word) {
    int[] tokens = tokenizer.encode(word, 8);
    assertThat(tokens).hasSize(3); // the word is one token
    return tokens[1];
  }

  @Test
  void plainDataIsTheCorpus() throws Exception {
    Data data = data(1, 0, "plain");

    assertThat(data.train()).hasSize(160);
    assertThat(data.validation()).isEmpty();
    assertThat(data.tests()).hasSize(3).doesNotContainKey("planted word disagrees");
    assertThat(wrong(data.train())).isZero();
  }

  @Test
  void validationMailIsNeitherTrainedOnNorTested() throws Exception {
    Data data = data(1, 0.25, "plain");
    Data other = data(2, 0.25, "plain");

    assertThat(data.validation()).hasSize(40).filteredOn(e -> e.label() == 1).hasSize(6);
    assertThat(data.train()).hasSize(120);
    Set<String> test = texts(data.tests().firstEntry().getValue());
    assertThat(texts(data.validation())).doesNotContainAnyElementsOf(texts(data.train()));
    assertThat(test).doesNotContainAnyElementsOf(texts(data.train()));
    assertThat(test).doesNotContainAnyElementsOf(texts(data.validation()));
    assertThat(texts(other.tests().firstEntry().getValue())).isEqualTo(test);
    assertThat(texts(other.validation())).isNotEqualTo(texts(data.validation()));
  }

  @Test
  void aShareOfTheLabelsIsWrongButNoneOfTheTests() throws Exception {
    Data data = data(1, 0.25, "noise=0.2");

    assertThat(wrong(data.train())).isEqualTo(24);
    assertThat(wrong(data.validation())).isEqualTo(8);
    data.tests().values().forEach(test -> assertThat(wrong(test)).isZero());
    assertThat(data(1, 0.25, "noise=0.2").train())
        .usingRecursiveFieldByFieldElementComparator()
        .isEqualTo(data.train());
  }

  @Test
  void fewMailsHaveBothClasses() throws Exception {
    assertThat(data(1, 0, "mails=12").train())
        .hasSize(12)
        .filteredOn(e -> e.label() == 1)
        .hasSize(2);
    assertThat(data(1, 0, "mails=160").train()).hasSize(160);
  }

  @Test
  void moreMailsThanThereAreAreRefused() {
    assertThatThrownBy(() -> data(1, 0, "mails=161"))
        .isInstanceOf(Failure.class)
        .hasMessage("--data mails=161: there are 160 mails to train with");
    assertThatThrownBy(() -> data(1, 0.25, "mails=121")).isInstanceOf(Failure.class);
  }

  @ParameterizedTest
  @CsvSource({
    "0, mails=2, 'the 2 mails to train with lack ham or spam: use more of them'", // 15% of 2 is
    // rounded to 0
    "0.999, plain, 'the 0 mails to train with lack ham or spam: use more of them'",
    "0.01, plain, 'the 2 mails for validation lack ham or spam: use more of them'",
  })
  void bothClassesAreNeeded(double validation, String variation, String message) {
    assertThatThrownBy(() -> data(1, validation, variation))
        .isInstanceOf(Failure.class)
        .hasMessage(message);
  }

  @Test
  void theTestsDoNotChangeWhatIsPlantedInTraining() throws Exception {
    List<Example> train = data(1, 0, "spurious=0.8").train();
    MailCorpus limited = new MailCorpus(corpus.mails(), 0.2, 7, 32, true, tokenizer);

    assertThat(limited.data(1, 0, Variation.of("spurious=0.8")).train())
        .usingRecursiveFieldByFieldElementComparator()
        .isEqualTo(train);
  }

  @Test
  void thePlantedWordAgreesAsOftenAsSaid() throws Exception {
    Data data = data(1, 0, "spurious=0.8");

    assertThat(agreeing(data.train())).isBetween(0.7, 0.9);
    assertThat(agreeing(data.tests().get("in-distribution"))).isBetween(0.6, 0.95);
    assertThat(agreeing(data.tests().get("planted word disagrees"))).isZero();
    assertThat(agreeing(data(1, 0, "spurious=1").train())).isEqualTo(1);
    assertThat(wrong(data.tests().get("hard-ham-1"))).isZero(); // nothing is planted there
    for (Example example : data.train()) {
      assertThat(LABELS).containsEntry(text(example.tokens(), 1), example.label());
    }
  }
}
