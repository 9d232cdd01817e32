package io.spd4j.finetune;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import io.spd4j.finetune.data.Mail;
import io.spd4j.finetune.data.MailCollection;
import io.spd4j.finetune.data.MailTokenizer;
import io.spd4j.finetune.minilm.Batch;
import io.spd4j.finetune.minilm.Classifier;
import io.spd4j.finetune.minilm.Config;
import io.spd4j.finetune.minilm.OnnxWeights;
import io.spd4j.finetune.minilm.Weight;
import io.spd4j.finetune.minilm.Weights;
import io.spd4j.onednn.OneDnn;
import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.BooleanSupplier;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Tests the commands and the main job with the real model, without fetching the corpus. */
class JobTest {
  private static Arena arena;
  private static Weights pretrained;
  private static MailTokenizer tokenizer;

  @TempDir private Path results;
  private String seeds = "1";
  private String states = "float32";
  private int status = -1;

  @BeforeAll
  static void load() throws Exception {
    arena = Arena.ofShared();
    pretrained = OnnxWeights.minilm(arena);
    tokenizer = new MailTokenizer();
  }

  @AfterAll
  static void close() {
    tokenizer.close();
    arena.close();
  }

  /** Returns a few mails of each collection, in the collections' order. */
  private static List<Mail> mails() {
    List<Mail> mails = new ArrayList<>();
    for (MailCollection collection : MailCollection.values()) {
      for (int i = 0; i < 8; i++) {
        String text = collection.spam() ? "You have won %d dollars" : "The meeting is at %d";
        mails.add(new Mail(collection, i + ".txt", text.formatted(i)));
      }
    }
    return mails;
  }

  /** Runs a job and returns its output. */
  private String run(BooleanSupplier stop, String rules, String... more) throws Exception {
    List<String> training = new ArrayList<>(List.of("--steps", "2", "--batch", "2"));
    training.addAll(List.of("--length", "16", "--threads", "2"));
    training.addAll(List.of(more));
    TrainingOptions options = Fixtures.training(training.toArray(String[]::new));
    JobOptions job =
        Fixtures.job(
            "--rules",
            rules,
            "--results",
            results.toString(),
            "--name",
            "test",
            "--test-limit",
            "4",
            "--seeds",
            seeds,
            "--state",
            states);
    StringWriter out = new StringWriter();
    PrintWriter writer = new PrintWriter(out);
    status =
        new Job(
                job,
                options,
                Config.MINILM_L6,
                pretrained,
                MailCorpus.of(mails(), job, options, tokenizer),
                Processes.ONE,
                stop,
                new Log(writer, writer, false))
            .run();
    return out.toString();
  }

  @Test
  void everyRuleEndsInWeightsAndOneReport() throws Exception {
    String out = run(() -> false, "adamw,l2sp,l2sp_coupled,spd");

    String[] rules = {"AdamW", "L2-SP", "L2-SP, coupled", "SPD"};
    assertThat(out).contains(rules);
    assertThat(out.lines().filter(line -> line.startsWith("|"))).hasSize(2 + rules.length);
    assertThat(out).doesNotContain("stopped early").contains("report: " + results);
    assertThat(files())
        .containsExactly(
            "test-adamw-0.01-seed1.safetensors",
            "test-l2sp-10-seed1.safetensors",
            "test-l2sp_coupled-0.01-seed1.safetensors",
            "test-metrics.jsonl",
            "test-spd-1-seed1.safetensors",
            "test.html",
            "test.json");
    assertThat(status).isZero();
    assertThat(values("complete")).containsExactly("true", "true", "true", "true");
    assertThat(values("steps")).startsWith("2").containsOnly("2");
    // The in-distribution test gets 2 mails of each class's 8; the others are limited to 4.
    assertThat(values("total"))
        .containsExactly("4", "4", "4", "4", "4", "4", "4", "4", "4", "4", "4", "4");

    assertClassifies(results.resolve("test-spd-1-seed1.safetensors"));
  }

  private static void assertClassifies(Path model) throws Exception {
    String[] texts = {"You have won", "The meeting is at 3"};
    Cli classify = Cli.run("classify", model.toString(), texts[0], texts[1], "--length", "4");

    assertThat(classify.err()).isEmpty();
    assertThat(classify.status()).isZero();
    List<Double> expected = new ArrayList<>();
    try (OneDnn dnn = OneDnn.open(2)) {
      Weights weights = SavedModel.read(model, Config.MINILM_L6, arena);
      Classifier classifier = new Classifier(dnn, Config.MINILM_L6, weights, 2, 4, arena);
      Batch batch = Batch.of(Stream.of(texts).map(t -> tokenizer.encode(t, 4)).toList(), 1);
      MemorySegment logits = classifier.forward(batch);
      for (int i = 0; i < 2; i++) {
        double ham = Math.exp(logits.getAtIndex(JAVA_FLOAT, 2 * i));
        double spam = Math.exp(logits.getAtIndex(JAVA_FLOAT, 2 * i + 1));
        expected.add(spam / (ham + spam));
      }
    }
    assertThat(expected.get(0)).isNotCloseTo(expected.get(1), within(1e-3));
    assertThat(expected.get(0)).isNotCloseTo(0.5, within(1e-3));
    List<String> lines = classify.out().lines().toList();
    assertThat(lines).hasSize(2);
    for (int i = 0; i < 2; i++) {
      assertThat(lines.get(i)).matches("0\\.\\d{4}  " + texts[i]);
      assertThat(Double.parseDouble(lines.get(i).substring(0, 6)))
          .isCloseTo(expected.get(i), within(1e-4));
    }
  }

  @Test
  void seedsMakeDifferentRuns() throws Exception {
    run(() -> false, "adamw", "--lora", "2", "--record", "1");
    List<String> one = values("loss", "\\[([^]]+)]");
    Path weights = results.resolve("test-adamw-0.01-seed1.safetensors");
    byte[] first = Files.readAllBytes(weights);
    run(() -> false, "adamw", "--lora", "2");
    assertThat(values("loss", "\\[([^]]+)]")).isEqualTo(one);
    assertThat(Files.readAllBytes(weights)).isEqualTo(first);

    seeds = "1..2,1";
    String out = run(() -> false, "adamw", "--lora", "2");
    assertThat(out).contains("testing …").doesNotContain("Compared with");
    List<String> both = values("loss", "\\[([^]]+)]");
    assertThat(both).hasSize(2).doesNotHaveDuplicates();
    assertThat(both.getFirst()).isEqualTo(one.getFirst());
  }

  @Test
  void splitGivesTheWeightsAndNumbersOfFloat32() throws Exception {
    states = "float32,split";
    String out = run(() -> false, "spd", "--record", "1");

    assertThat(out).contains("SPD, λ = 1, seed 1, split: step", "| state   |");
    assertThat(values("state", "\"([^\"]+)\"")).containsExactly("float32", "split");
    for (String field : List.of("loss", "gradient_norm", "layers", "selected")) {
      assertTheSame(values(field, "(\\[[^{}\"]+)"));
    }
    assertTheSame(values("correct", "(\\d+)"));
    assertTheSame(values("deviation", "([-0-9.E]+)"));
    Weights float32 = weights("test-spd-1-seed1.safetensors");
    Weights split = weights("test-spd-1-seed1-split.safetensors");
    for (Weight weight : float32.all()) {
      assertThat(weight.data().mismatch(split.get(weight.name()).data())).isEqualTo(-1);
    }
  }

  /** Compares the values of the first run with those of the second. */
  private static void assertTheSame(List<String> both) {
    int one = both.size() / 2;
    assertThat(both.subList(0, one)).isNotEmpty().isEqualTo(both.subList(one, both.size()));
  }

  private Weights weights(String file) throws Exception {
    return SavedModel.read(results.resolve(file), Config.MINILM_L6, arena);
  }

  /** The deviation covers the backbone alone: the layers of the last record. */
  @Test
  void theDeviationCoversTheBackboneOnly() throws Exception {
    run(() -> false, "adamw");
    List<String> records = values("layers", "\\[([-0-9.E, ]+)]");
    double squares = 0;
    for (String layer : records.getLast().split(",")) {
      squares += Math.pow(Double.parseDouble(layer.strip()), 2);
    }
    assertThat(squares).isPositive();
    assertThat(Double.parseDouble(values("deviation", "([-0-9.E]+)").getFirst()))
        .isCloseTo(Math.sqrt(squares), within(1e-9));
  }

  @Test
  void aDivergedModelScoresZero() throws Exception {
    String out = run(() -> false, "adamw", "--lr", "1e30", "--warmup", "0");
    assertThat(out).contains("steps skipped because gradients were not finite: 1");
    assertThat(values("correct")).hasSize(3).containsOnly("0");
  }

  @Test
  void aRunWhoseWeightsCannotBeWrittenIsReported() throws Exception {
    Path folder = results.resolve("test-adamw-0.01-seed1.safetensors");
    Files.createDirectories(folder.resolve("not-empty"));
    String out = run(() -> false, "adamw", "--lora", "2");
    assertThat(out)
        .contains("the weights could not be written to " + folder + ": ")
        .contains("not all weights could be written to " + results);
    assertThat(status).isEqualTo(3);
    assertThat(values("weights")).containsExactly("null");
    assertThat(values("complete")).containsExactly("true");
  }

  @Test
  void anInterruptedJobReportsWhatItHas() throws Exception {
    AtomicInteger asked = new AtomicInteger();
    // The job asks before the data, the run, its first step and its second step.
    String out = run(() -> asked.incrementAndGet() >= 4, "spd,adamw", "--lora", "2");

    assertThat(out).contains("SPD").doesNotContain("AdamW");
    assertThat(files())
        .containsExactly(
            "test-metrics.jsonl", "test-spd-1-seed1.safetensors", "test.html", "test.json");
    assertThat(status).isEqualTo(130);
    assertThat(values("complete")).containsExactly("false");
    assertThat(values("planned_steps")).containsExactly("2");
    assertThat(values("steps")).as("of the settings, of the run").containsExactly("2", "1");
    assertThat(values("total")).isEmpty();
  }

  @Test
  void anInterruptionBeforeTheFirstRunLeavesAnEmptyReport() throws Exception {
    run(() -> true, "spd");

    assertThat(files()).containsExactly("test-metrics.jsonl", "test.html", "test.json");
    assertThat(status).isEqualTo(130);
    assertThat(values("complete")).isEmpty();
  }

  @Test
  void aLimitTakesFromTheWholeTestSet() {
    List<Integer> all = List.of(0, 1, 2, 3, 4, 5, 6, 7, 8, 9);
    assertThat(MailCorpus.evenly(all, 4)).containsExactly(0, 2, 5, 7);
    assertThat(MailCorpus.evenly(all, 9)).doesNotHaveDuplicates().hasSize(9);
    assertThat(MailCorpus.evenly(all, 11)).isEqualTo(all);
    assertThat(MailCorpus.evenly(List.of(), 4)).isEmpty();
  }

  private List<String> files() throws IOException {
    try (var files = Files.list(results)) {
      return files.map(file -> file.getFileName().toString()).sorted().toList();
    }
  }

  /** Returns the values of all fields of this name in the JSON report. */
  private List<String> values(String field) throws IOException {
    return values(field, "([a-z0-9]+)");
  }

  private List<String> values(String field, String value) throws IOException {
    return Pattern.compile("\"" + field + "\"\\s*:\\s*" + value)
        .matcher(Files.readString(results.resolve("test.json")))
        .results()
        .map(match -> match.group(1))
        .toList();
  }

  @Test
  void helpExplainsTheOptions() {
    Cli help = Cli.run("finetune", "--help");

    assertThat(help.status()).isZero();
    assertThat(help.out())
        .contains("--rules", "adamw,l2sp,spd", "--lambda", "--unfreeze", "--cache", "Example:");
    assertThat(Cli.run("classify", "--help").out()).contains("MODEL", "TEXT", "--length");
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "finetune --length 1",
        "finetune --test-fraction 1",
        "finetune --unfreeze layer9=1",
        "pretrain --length 513",
        "pretrain --lr -1",
        "classify none.safetensors hello",
        "classify none.safetensors hello --length 513",
      })
  void refusesBadInputInOneSentence(String arguments) {
    Cli refused = Cli.run(arguments.split(" "));

    assertThat(refused.status()).isEqualTo(2);
    assertThat(refused.err()).hasLineCount(1);
    assertThat(refused.out()).isEmpty();
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "--lambda spd=-1",
        "--rules sgd",
        "--state 4bit",
        "--steps 0",
        "--seeds one",
        "--nothing"
      })
  void reportsBadUsageFirst(String arguments) {
    Cli refused = Cli.run(("finetune " + arguments).split(" "));

    assertThat(refused.status()).isEqualTo(2);
    assertThat(refused.err().lines().findFirst().orElseThrow())
        .contains(arguments.substring(0, arguments.concat(" ").indexOf(' ')));
    assertThat(refused.out()).isEmpty();
  }
}
