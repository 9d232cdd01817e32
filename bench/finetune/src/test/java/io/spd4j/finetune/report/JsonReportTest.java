package io.spd4j.finetune.report;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.time.Instant;
import java.util.BitSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;

class JsonReportTest {
  @Test
  void holdsEverything() throws IOException {
    Map<String, Object> settings = new LinkedHashMap<>();
    settings.put("batch size", 16);
    settings.put("lr", 2e-5);
    settings.put("clipping", true);
    settings.put("model", "\"MiniLM\" \u2713");
    settings.put("limit", Double.POSITIVE_INFINITY);
    settings.put("weights", null);
    settings.put("unfrozen", Map.of("layer0", 3));
    History history = new History(List.of("embeddings"), List.of("a", "b", "c"));
    history.deviation(List.of(0.0));
    BitSet selected = new BitSet();
    selected.set(0);
    selected.set(2);
    history.add(new History.Step(0.7, 1.5, 1e-5, 400, 12, 600, 40, selected));
    history.add(
        new History.Step(
            Double.NaN, Double.POSITIVE_INFINITY, 2e-5, 410, 13, 615, 25, new BitSet()));
    history.deviation(List.of(Double.NaN));
    history.stop("embeddings");
    Run run =
        new Run(
            new Setup("SPD", 0.5, 5e-5, "8bit", ""),
            7,
            3,
            false,
            Map.of("hard", new Score(3, 4, 0.25)),
            Double.NaN,
            history,
            "spd.safetensors",
            null,
            List.of());
    FinetuneReport report =
        new FinetuneReport(
            "title",
            settings,
            new Machine("cpu", 2, "25", "Linux"),
            Instant.parse("2026-01-17T14:03:21Z"),
            List.of("in-distribution", "hard"),
            List.of(run),
            List.of());

    assertThat(Json.read(json(report), Object.class))
        .isEqualTo(
            Json.read(
                """
                {
                  "title": "title",
                  "finished": "2026-01-17T14:03:21Z",
                  "machine": {"cpu": "cpu", "cores": 2, "jdk": "25", "os": "Linux"},
                  "settings": {
                    "batch size": 16, "lr": 2.0E-5, "clipping": true, "model": "\\"MiniLM\\" \u2713",
                    "limit": null, "weights": null, "unfrozen": {"layer0": 3}
                  },
                  "test_sets": ["in-distribution", "hard"],
                  "runs": [{
                    "rule": "SPD", "lambda": 0.5, "lr": 5.0E-5, "state": "8bit", "data": "",
                    "seed": 7,
                    "complete": false, "planned_steps": 3, "steps": 2,
                    "scores": {"hard": {"correct": 3, "total": 4, "loss": 0.25, "accuracy": 0.75}},
                    "deviation": null, "step_ms": 405.0, "optimizer_ms": 12.5,
                    "tokens_per_second": 1500.0, "padding": 0.05078125,
                    "weights": "spd.safetensors", "validation": null, "interpolated": [],
                    "history": {
                      "loss": [0.7, null], "gradient_norm": [1.5, null],
                      "learning_rate": [1.0E-5, 2.0E-5],
                      "step_ms": [400.0, 410.0], "optimizer_ms": [12.0, 13.0],
                      "tokens": [600, 615], "padding": [40, 25],
                      "layers": ["embeddings"],
                      "deviations": [{"step": 0, "layers": [0.0]}, {"step": 2, "layers": [null]}],
                      "stopped_early": {"embeddings": 2},
                      "tensors": ["a", "b", "c"], "selected": [[0, 2], []]
                    }
                  }],
                  "trials": [], "differences": []
                }
                """
                    .getBytes(StandardCharsets.UTF_8),
                Map.class));
  }

  @Test
  void holdsAllRuns() throws IOException {
    Map<?, ?> tree = Json.read(json(SampleReport.seeds(40, 3)), Map.class);

    assertThat((List<?>) tree.get("runs")).hasSize(9);
  }

  @Test
  void holdsTheDifferencesToAdamw() throws IOException {
    FinetuneReport report =
        PairedRuns.report(
            PairedRuns.run("AdamW", 0.01, 7, 50, -1, 2),
            PairedRuns.run("AdamW", 0.01, 8, 50, 0, 4),
            PairedRuns.run("SPD", 1, 7, 75, 10, 1),
            PairedRuns.run("SPD", 1, 8, 75, 25, 3));

    assertThat(Json.read(json(report), Map.class).get("differences"))
        .isEqualTo(
            Json.read(
                """
                [{
                  "setting": {
                    "rule": "SPD", "lambda": 1.0, "lr": 5.0E-5, "state": "float32", "data": ""
                  },
                  "baseline": {
                    "rule": "AdamW", "lambda": 0.01, "lr": 5.0E-5, "state": "float32", "data": ""
                  },
                  "points": {
                    "id": {
                      "seeds": [7, 8], "values": [25.0, 25.0], "mean": 25.0,
                      "interval": {"low": 25.0, "high": 25.0},
                      "signs": {"plus": 2, "minus": 0, "ties": 0, "p": 0.5}
                    },
                    "hard": {
                      "seeds": [8], "values": [50.0], "mean": null, "interval": null, "signs": null
                    }
                  },
                  "losses": {
                    "id": {
                      "seeds": [], "values": [], "mean": null, "interval": null, "signs": null
                    },
                    "hard": {
                      "seeds": [], "values": [], "mean": null, "interval": null, "signs": null
                    }
                  },
                  "deviation": {
                    "seeds": [7, 8], "values": [-1.0, -1.0], "mean": -1.0,
                    "interval": {"low": -1.0, "high": -1.0},
                    "signs": {"plus": 0, "minus": 2, "ties": 0, "p": 0.5}
                  },
                  "deviation_percent": {
                    "seeds": [7, 8], "values": [-50.0, -25.0], "mean": -37.5,
                    "interval": {"low": -50.0, "high": -25.0},
                    "signs": {"plus": 0, "minus": 2, "ties": 0, "p": 0.5}
                  }
                }]
                """
                    .getBytes(StandardCharsets.UTF_8),
                List.class));
  }

  private static byte[] json(FinetuneReport report) throws IOException {
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    Json.write(JsonReport.of(report), out);
    return out.toByteArray();
  }
}
