package io.spd4j.finetune.report;

import java.time.ZoneId;
import java.time.format.DateTimeFormatter;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import org.jsoup.nodes.DataNode;
import org.jsoup.nodes.Document;
import org.jsoup.nodes.DocumentType;
import org.jsoup.nodes.Element;

/**
 * A report as a page that needs no other file. Jsoup escapes the texts.
 *
 * @param html the page
 * @param warning one sentence about what the page lacks
 */
record HtmlReport(String html, Optional<String> warning) {
  private static final DateTimeFormatter TIME =
      DateTimeFormatter.ofPattern("d MMMM uuuu, HH:mm z", Locale.ENGLISH)
          .withZone(ZoneId.systemDefault());

  static HtmlReport of(FinetuneReport report) {
    List<Figure> figures = new ArrayList<>();
    Optional<String> warning = Optional.empty();
    try {
      PairedChart.of(report.ofFirst()).ifPresent(figures::add);
      figures.addAll(Charts.of(report));
    } catch (LinkageError | InternalError | RuntimeException e) {
      // Any of these is thrown if fonts or parts of AWT are missing. The results must not be lost.
      warning =
          Optional.of(
              "The report has no charts, because Java could not draw them here ("
                  + e
                  + "): if this machine has no fonts, install fontconfig and a font (on Debian: "
                  + "fontconfig and fonts-dejavu-core).");
    }
    figures.addAll(selections(report.ofFirst()));
    Figure choice = ValidationMap.of(report);
    if (!choice.panels().isEmpty()) {
      figures.add(choice);
    }
    return new HtmlReport(page(report, figures, warning), warning);
  }

  /** Returns maps of one run of every rule that selects tensors. */
  private static List<Figure> selections(FinetuneReport report) {
    return Setting.bestOfEachRule(report).stream()
        .map(setting -> setting.shown().getFirst())
        .filter(run -> !run.history().tensors().isEmpty() && !run.history().steps().isEmpty())
        .map(run -> SelectionMap.of(run, Palette.css(Palette.ofRule(report, run.setup().rule()))))
        .toList();
  }

  private static String page(
      FinetuneReport report, List<Figure> figures, Optional<String> warning) {
    Document page = Document.createShell("");
    page.outputSettings().prettyPrint(false);
    page.prependChild(new DocumentType("html", "", ""));
    page.getElementsByTag("html").attr("lang", "en");
    page.head().appendElement("meta").attr("charset", "utf-8");
    page.head()
        .appendElement("meta")
        .attr("name", "viewport")
        .attr("content", "width=device-width, initial-scale=1");
    page.title(report.title());
    page.head().appendElement("style").appendChild(new DataNode(Palette.styleSheet()));

    Element main = page.body().appendElement("main");
    main.appendElement("h1").text(report.title());
    main.appendElement("p").addClass("note").text(TIME.format(report.finished()));
    results(main.appendElement("section"), new ResultTable(report));
    differences(main, new PairedTables(report));
    warning.ifPresent(sentence -> main.appendElement("p").addClass("warning").text(sentence));
    if (report.states().size() > 1) {
      String state = report.states().getFirst();
      main.appendElement("p").addClass("note").text("The pictures show the state " + state + ".");
    }
    if (report.data().size() > 1) {
      main.appendElement("p")
          .addClass("note")
          .text(
              "Where nothing else is said, the pictures show the first kind of data: "
                  + ResultTable.data(report.data().getFirst())
                  + ".");
    }
    for (Figure figure : figures) {
      figure(main.appendElement("section"), figure);
    }
    list(main.appendElement("section"), "Settings", report.settings());
    list(main.appendElement("section"), "Machine", machine(report.machine()));
    return page.outerHtml();
  }

  private static void results(Element section, ResultTable results) {
    section.appendElement("h2").text("Results");
    table(section, 1, results.header(), results.rows());
    section.appendElement("p").addClass("note").text(results.note());
  }

  private static void differences(Element main, PairedTables differences) {
    if (differences.tables().isEmpty()) {
      return;
    }
    Element section = main.appendElement("section");
    section.appendElement("h2").text(PairedTables.TITLE);
    for (PairedTables.Table table : differences.tables()) {
      section.appendElement("h3").text(table.title());
      table(section, 2, PairedTables.HEADER, table.rows());
    }
    for (String note : differences.notes()) {
      section.appendElement("p").addClass("note").text(note);
    }
  }

  /** Adds a table; its first columns are text, the others numbers. */
  private static void table(
      Element section, int texts, List<String> header, List<List<String>> rows) {
    Element table = section.appendElement("div").addClass("wide").appendElement("table");
    row(table.appendElement("thead"), texts, "th", header);
    Element body = table.appendElement("tbody");
    for (List<String> row : rows) {
      row(body, texts, "td", row);
    }
  }

  private static void row(Element table, int texts, String tag, List<String> cells) {
    Element row = table.appendElement("tr");
    for (String cell : cells) {
      row.appendElement(tag).text(cell);
    }
    row.children().stream().limit(texts).forEach(cell -> cell.addClass("text"));
  }

  private static void figure(Element section, Figure figure) {
    section.appendElement("h2").text(figure.title());
    section.appendElement("p").text(figure.caption());
    Element legend = section.appendElement("ul").addClass("legend");
    for (Figure.Key key : figure.legend()) {
      Element item = legend.appendElement("li");
      item.appendElement("span").attr("style", "background:" + key.color());
      item.appendText(key.label());
    }
    Element panels = section.appendElement("div").addClass("panels");
    for (Figure.Panel panel : figure.panels()) {
      Element drawing = panels.appendElement("figure");
      drawing.appendElement("figcaption").text(panel.title());
      drawing.appendChild(new DataNode(panel.svg()));
    }
  }

  private static Map<String, Object> machine(Machine machine) {
    Map<String, Object> list = new LinkedHashMap<>();
    list.put("processor", machine.cpu());
    list.put("cores", machine.cores());
    list.put("JDK", machine.jdk());
    list.put("system", machine.os());
    return list;
  }

  private static void list(Element section, String title, Map<String, Object> values) {
    section.appendElement("h2").text(title);
    Element list = section.appendElement("dl");
    values.forEach((name, value) -> {
      list.appendElement("dt").text(name);
      list.appendElement("dd").text(String.valueOf(value));
    });
  }
}
