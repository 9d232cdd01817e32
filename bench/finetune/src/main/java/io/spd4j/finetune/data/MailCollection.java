package io.spd4j.finetune.data;

import java.util.Locale;

/**
 * The collections of the SpamAssassin corpus. All but a few mails are from the months given. Of
 * duplicate mails, the one in the first collection is kept.
 */
public enum MailCollection {
  /** Mail that is easily told from spam; August to December 2002. */
  EASY_HAM_1(false),
  /** Spam; August and September 2002. */
  SPAM_1(true),
  /** Mail that is easily told from spam; July and August 2002. */
  EASY_HAM_2(false),
  /** Spam; June 2001 to August 2002. */
  SPAM_2(true),
  /** Mail that looks like spam, such as newsletters; July to November 2002. */
  HARD_HAM_1(false);

  private final boolean spam;

  MailCollection(boolean spam) {
    this.spam = spam;
  }

  /** Returns whether its mails are spam: all or none are. */
  public boolean spam() {
    return spam;
  }

  /** Returns the name of its folder in the corpus. */
  public String folder() {
    return name().toLowerCase(Locale.ROOT).replace('_', '-');
  }
}
