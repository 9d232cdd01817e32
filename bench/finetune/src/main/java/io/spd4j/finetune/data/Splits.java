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

  /**
   * Splits the training mails once more, in the same proportion of both classes.
   *
   * @param count the number of mails of the first part, at most all
   * @return the two parts, each in the order of the training mails
   * @throws IllegalArgumentException if there are fewer mails
   */
  public static List<List<Mail>> cut(List<Mail> train, int count) {
    if (count < 0 || count > train.size()) {
      throw new IllegalArgumentException(
          "there are %d mails, not %d".formatted(train.size(), count));
    }
    List<Mail> first = new ArrayList<>();
    List<Mail> second = new ArrayList<>();
    int[] taken = new int[2];
    int[] all = new int[2];
    train.forEach(mail -> all[mail.label()]++);
    int spam = (int) Math.round((double) count * all[1] / Math.max(1, train.size()));
    int[] wanted = {count - spam, spam};
    for (Mail mail : train) {
      if (taken[mail.label()] < wanted[mail.label()]) {
        taken[mail.label()]++;
        first.add(mail);
      } else {
        second.add(mail);
      }
    }
    return List.of(first, second);
  }

  private static List<Mail> select(List<Mail> mails, MailCollection... from) {
    return mails.stream().filter(m -> List.of(from).contains(m.collection())).toList();
  }
}
