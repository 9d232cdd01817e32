package io.spd4j.finetune.report;

import java.util.List;

/**
 * A section of the HTML report with pictures.
 *
 * @param title the heading
 * @param caption how to read the pictures
 * @param legend the meaning of the colours; can be empty
 * @param panels one or more pictures side by side
 */
record Figure(String title, String caption, List<Key> legend, List<Panel> panels) {
  /** The meaning of a colour, given in CSS. */
  record Key(String label, String color) {}

  /** A picture as an SVG element, and its title. */
  record Panel(String title, String svg) {}
}
