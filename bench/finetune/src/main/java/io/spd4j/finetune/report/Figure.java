package io.spd4j.finetune.report;

import java.util.List;

/**
 * A part of the HTML report with pictures.
 *
 * @param title its heading
 * @param caption how to read it
 * @param legend what the colours stand for; can be empty
 * @param panels one or several pictures side by side
 */
record Figure(String title, String caption, List<Key> legend, List<Panel> panels) {
  /** A colour's meaning; the colour as CSS has it. */
  record Key(String label, String color) {}

  /** A picture, as an SVG element, and what it shows. */
  record Panel(String title, String svg) {}
}
