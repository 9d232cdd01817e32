package io.spd4j.finetune.report;

import java.util.ArrayList;
import java.util.List;

/** A table in Markdown, aligned so that it also reads well as plain text. */
public final class MarkdownTable {
  private MarkdownTable() {}

  /**
   * Returns the table. Its first columns are text; the others are numbers, aligned to the right.
   *
   * @param left the number of text columns
   * @param rows each as long as the header
   */
  public static String of(int left, List<String> header, List<List<String>> rows) {
    List<List<String>> lines = new ArrayList<>();
    lines.add(header);
    lines.addAll(rows);
    int[] widths = new int[header.size()];
    for (List<String> line : lines) {
      for (int i = 0; i < widths.length; i++) {
        widths[i] = Math.max(widths[i], length(escaped(line.get(i))));
      }
    }
    StringBuilder markdown = new StringBuilder();
    for (int k = 0; k < lines.size(); k++) {
      for (int i = 0; i < widths.length; i++) {
        String cell = escaped(lines.get(k).get(i));
        String padding = " ".repeat(widths[i] - length(cell));
        markdown.append("| ").append(i < left ? cell + padding : padding + cell).append(' ');
      }
      markdown.append("|\n");
      if (k == 0) {
        for (int i = 0; i < widths.length; i++) {
          String dashes = "-".repeat(widths[i]);
          markdown.append(i < left ? "|:" + dashes + "-" : "|-" + dashes + ":");
        }
        markdown.append("|\n");
      }
    }
    return markdown.toString();
  }

  private static String escaped(String cell) {
    return cell.replace("|", "\\|").replaceAll("\\R", " ");
  }

  private static int length(String text) {
    return text.codePointCount(0, text.length());
  }
}
