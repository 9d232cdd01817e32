package io.spd4j.finetune.data;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.SplittableRandom;

/**
 * The split of the mails into training and test sets.
 *
 * @param train mails of {@link MailCollection#EASY_HAM_1} and {@link MailCollection#SPAM_1}, in
 *     random order
 * @param idTest the in-distribution test: the rest of these two, in random order
 * @param oodTest the out-of-distribution test: {@link MailCollection#EASY_HAM_2} and {@link
 *     MailCollection#SPAM_2}
 * @param hardHam {@link MailCollection#HARD_HAM_1}, also out of distribution, and ham only
 */
public record Splits(List<Mail> train, List<Mail> idTest, List<Mail> oodTest, List<Mail> hardHam) {
  /**
   * Splits the corpus. The same mails in the same order and the same seed give the same split.
   *
   * @param testFraction the share of each class, above 0 and below 1, that is held back from
   *     training; each side gets at least one mail of each class
   * @throws IllegalArgumentException if the fraction is out of range, or a class has fewer than two
   *     mails
   */
  public static Splits of(List<Mail> mails, double testFraction, long seed) {
    if (!(testFraction > 0 && testFraction < 1)) {
      throw new IllegalArgumentException(
          "the test fraction must be above 0 and below 1, not " + testFraction);
    }
    SplittableRandom random = new SplittableRandom(seed);
    List<Mail> train = new ArrayList<>();
    List<Mail> idTest = new ArrayList<>();
    for (MailCollection c : List.of(MailCollection.EASY_HAM_1, MailCollection.SPAM_1)) {
      List<Mail> shuffled = new ArrayList<>(select(mails, c));
      if (shuffled.size() < 2) {
        throw new IllegalArgumentException(
            c.folder() + " has too few mails to split: " + shuffled.size());
      }
      Collections.shuffle(shuffled, random);
      long share = Math.round(testFraction * shuffled.size());
      int held = Math.clamp(share, 1, shuffled.size() - 1);
      idTest.addAll(shuffled.subList(0, held));
      train.addAll(shuffled.subList(held, shuffled.size()));
    }
    Collections.shuffle(train, random);
    Collections.shuffle(idTest, random);
    return new Splits(
        List.copyOf(train),
        List.copyOf(idTest),
        select(mails, MailCollection.EASY_HAM_2, MailCollection.SPAM_2),
        select(mails, MailCollection.HARD_HAM_1));
  }

  private static List<Mail> select(List<Mail> mails, MailCollection... from) {
    return mails.stream().filter(m -> List.of(from).contains(m.collection())).toList();
  }
}
