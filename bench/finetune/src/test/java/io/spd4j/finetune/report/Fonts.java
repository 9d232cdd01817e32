package io.spd4j.finetune.report;

import java.awt.Font;
import java.awt.font.FontRenderContext;
import java.awt.font.TextLayout;

/** Checks whether Java can draw text on this machine. */
final class Fonts {
  private Fonts() {}

  static boolean present() {
    System.setProperty("java.awt.headless", "true");
    try {
      Font font = new Font(Font.SANS_SERIF, Font.PLAIN, 12);
      new TextLayout("text", font, new FontRenderContext(null, true, false));
      return true;
    } catch (LinkageError | InternalError | RuntimeException e) {
      return false;
    }
  }
}
