package io.spd4j.finetune.report;

import org.jsoup.nodes.Document;
import org.jsoup.nodes.Element;
import org.jsoup.parser.ParseSettings;
import org.jsoup.parser.Parser;

/** A drawing of SVG elements, made without AWT. Coordinates are pixels. */
final class Svg {
  /** From the top of a line of text to its base line. */
  static final int BASELINE = 11;

  private final Element root;

  Svg() {
    // jsoup keeps the capital in viewBox only with this setting.
    Document document = new Document("");
    document.parser(Parser.htmlParser().settings(ParseSettings.preserveCase));
    document.outputSettings().prettyPrint(false);
    root = document.appendElement("svg", Parser.NamespaceSvg);
  }

  /** Returns the outermost element. */
  Element root() {
    return root;
  }

  /**
   * Adds a line of text.
   *
   * @param anchor what of the text is at x: start, middle or end
   */
  Element text(int x, int y, String anchor, String text) {
    return add(root, "text")
        .attr("x", Integer.toString(x))
        .attr("y", Integer.toString(y + BASELINE))
        .attr("text-anchor", anchor)
        .text(text);
  }

  static Element add(Element parent, String tag) {
    return parent.appendElement(tag, Parser.NamespaceSvg);
  }

  /** Sets the size and returns the drawing. */
  String sized(int width, int height) {
    root.attr("viewBox", "0 0 %d %d".formatted(width, height))
        .attr("width", Integer.toString(width))
        .attr("height", Integer.toString(height));
    return root.outerHtml();
  }
}
