package io.spd4j.bench.compare;

import io.spd4j.bench.compare.CaseResult.Entry;
import io.spd4j.finetune.report.MarkdownTable;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/** Two runs in one table. */
final class SideBySide {
  private SideBySide() {}

  /** Returns a table of what both runs measured, with the new time divided by the old time. */
  static String of(Bench old, Bench now) {
    List<List<String>> rows = new ArrayList<>();
    for (CaseResult result : now.all().toList()) {
      Optional<CaseResult> before =
          old.all().filter(c -> c.step().equals(result.step())).findFirst();
      if (before.isPresent()) {
        for (Entry entry : result.entries()) {
          before
              .get()
              .measured(entry.name())
              .filter(e -> entry.measured())
              .ifPresent(e -> rows.add(row(result, e, entry)));
        }
      }
    }
    return machine("old", old)
        + machine("new", now)
        + "\n"
        + MarkdownTable.of(2, List.of("step", "", "old", "new", "new/old"), rows);
  }

  private static List<String> row(CaseResult result, Entry old, Entry now) {
    return List.of(
        result.step().toString(),
        now.name(),
        Units.time(old.nanos()),
        Units.time(now.nanos()),
        Units.digits(now.nanos().median() / old.nanos().median()));
  }

  private static String machine(String which, Bench bench) {
    return "%s: %s, %s, JDK %s%n"
        .formatted(which, bench.finished(), bench.machine().cpu(), bench.machine().jdk());
  }
}
