package io.spd4j.finetune.data;

import static io.spd4j.finetune.data.MailCollection.EASY_HAM_1;
import static io.spd4j.finetune.data.MailCollection.EASY_HAM_2;
import static io.spd4j.finetune.data.MailCollection.HARD_HAM_1;
import static io.spd4j.finetune.data.MailCollection.SPAM_1;
import static io.spd4j.finetune.data.MailCollection.SPAM_2;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class SplitsTest {
  private static final List<Mail> MAILS = mails(100, 20);

  @Test
  void eachMailIsInOneSplit() {
    Splits splits = Splits.of(MAILS, 0.2, 1);

    List<Mail> all = new ArrayList<>(splits.train());
    all.addAll(splits.idTest());
    all.addAll(splits.oodTest());
    all.addAll(splits.hardHam());
    assertThat(all).containsExactlyInAnyOrderElementsOf(MAILS);
    assertThat(splits.train()).extracting(Mail::collection).containsOnly(EASY_HAM_1, SPAM_1);
    assertThat(splits.idTest()).extracting(Mail::collection).containsOnly(EASY_HAM_1, SPAM_1);
    assertThat(splits.oodTest()).extracting(Mail::collection).containsOnly(EASY_HAM_2, SPAM_2);
    assertThat(splits.hardHam()).extracting(Mail::collection).containsOnly(HARD_HAM_1);
  }

  @ParameterizedTest
  @CsvSource({"0.2, 20, 4", "0.5, 50, 10", "0.001, 1, 1", "0.999, 99, 19"})
  void eachClassIsSharedOut(double fraction, int ham, int spam) {
    List<Mail> test = Splits.of(MAILS, fraction, 1).idTest();

    assertThat(test).filteredOn(mail -> mail.label() == 0).hasSize(ham);
    assertThat(test).filteredOn(mail -> mail.label() == 1).hasSize(spam);
  }

  @Test
  void theSeedDecides() {
    assertThat(Splits.of(MAILS, 0.2, 1)).isEqualTo(Splits.of(MAILS, 0.2, 1));
    assertThat(Splits.of(MAILS, 0.2, 1).idTest()).isNotEqualTo(Splits.of(MAILS, 0.2, 2).idTest());
  }

  @Test
  void classesAreMixed() {
    List<Integer> labels = Splits.of(MAILS, 0.2, 1).train().stream().map(Mail::label).toList();

    assertThat(labels).isNotEqualTo(labels.stream().sorted().toList());
    assertThat(labels).isNotEqualTo(labels.stream().sorted().toList().reversed());
  }

  @ParameterizedTest
  @ValueSource(doubles = {0, 1, -0.2, Double.NaN})
  void refusesOtherFractions(double fraction) {
    assertThatThrownBy(() -> Splits.of(MAILS, fraction, 1))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("" + fraction);
  }

  @Test
  void refusesAClassThatCannotBeSplit() {
    assertThatThrownBy(() -> Splits.of(mails(100, 1), 0.2, 1))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("spam-1");
  }

  private static List<Mail> mails(int ham, int spam) {
    List<Mail> mails = new ArrayList<>();
    for (MailCollection c : MailCollection.values()) {
      for (int i = 0; i < (c.spam() ? spam : ham); i++) {
        mails.add(new Mail(c, "" + i, c + " text " + i));
      }
    }
    return mails;
  }

  @ParameterizedTest
  @CsvSource({"0, 0", "1, 0", "6, 1", "60, 10", "96, 16"})
  void aCutKeepsTheOrderAndTheShareOfSpam(int count, int spam) {
    List<Mail> train = Splits.of(MAILS, 0.2, 1).train(); // 80 ham, 16 spam
    List<List<Mail>> parts = Splits.cut(train, count);

    assertThat(parts.getFirst()).hasSize(count).isSubsetOf(train);
    assertThat(parts.getFirst()).filteredOn(mail -> mail.label() == 1).hasSize(spam);
    List<Mail> rest = new ArrayList<>(train);
    rest.removeAll(parts.getFirst());
    assertThat(parts.getLast()).isEqualTo(rest);
    List<Mail> first = new ArrayList<>(train);
    first.retainAll(parts.getFirst());
    assertThat(parts.getFirst()).isEqualTo(first);
  }

  @ParameterizedTest
  @ValueSource(ints = {-1, 97})
  void aCutNeedsEnoughMails(int count) {
    List<Mail> train = Splits.of(MAILS, 0.2, 1).train();
    assertThatThrownBy(() -> Splits.cut(train, count))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage("there are 96 mails, not " + count);
  }
}
