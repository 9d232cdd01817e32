package io.spd4j.finetune;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import ai.onnxruntime.OrtEnvironment;
import ai.onnxruntime.OrtSession;
import dev.langchain4j.model.embedding.EmbeddingModel;
import dev.langchain4j.model.embedding.onnx.OnnxEmbeddingModel;
import dev.langchain4j.model.embedding.onnx.PoolingMode;
import io.spd4j.finetune.data.Mail;
import io.spd4j.finetune.data.MailCollection;
import io.spd4j.finetune.data.MailTokenizer;
import io.spd4j.finetune.minilm.Batch;
import io.spd4j.finetune.minilm.Classifier;
import io.spd4j.finetune.minilm.Config;
import io.spd4j.finetune.minilm.Encoder;
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
import java.util.Map;
import java.util.SplittableRandom;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.BooleanSupplier;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Exports the real model by the command and by the job. */
class ExportTest {
  private static final Config CONFIG = Config.MINILM_L6;
  private static final String LETTER =
      "Dear Ms. O'Neill -- thanks for your mail of 3/14; I'll be in on Friday, at 9:30. ";

  /** The tokenizer that comes with the model cuts at 128. */
  private static final int LENGTH = 200;

  private static Arena arena;
  private static Weights pretrained;
  private static MailTokenizer tokenizer;

  @TempDir private Path folder;

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

  private Path onnx() {
    return folder.resolve("model.onnx");
  }

  /** Returns weights unlike the pre-trained ones. */
  private static Weights trained() {
    SplittableRandom random = new SplittableRandom(5);
    Weights trained = pretrained.copy(arena, false);
    for (Weight weight : trained.all()) {
      for (long i = random.nextInt(7); i < weight.numel(); i += 7) {
        float value = weight.data().getAtIndex(JAVA_FLOAT, i);
        weight.data().setAtIndex(JAVA_FLOAT, i, value + (float) random.nextGaussian(0, 0.02));
      }
    }
    return trained.with(Classifier.head(arena, CONFIG, Model.CLASSES, random));
  }

  private Path saved(Weights weights) throws IOException {
    Path saved = folder.resolve("run.safetensors");
    SavedModel.write(saved, weights, Map.of("format", "pt", "run", "SPD", "tokens", LENGTH + ""));
    return saved;
  }

  @Test
  void langChain4jReadsTheFiles() throws Exception {
    Weights trained = trained();
    Cli export = Cli.run("export", saved(trained).toString(), onnx().toString(), "--with-head");

    Path json = folder.resolve("tokenizer.json");
    assertThat(export.err()).isEmpty();
    assertThat(export.status()).isZero();
    assertThat(export.out())
        .isEqualToIgnoringNewLines("ONNX model: %s, its tokenizer: %s".formatted(onnx(), json));
    assertThat(files()).containsExactly("model.onnx", "run.safetensors", "tokenizer.json");

    assertThat(tokenizer.encode(LETTER.repeat(9), 512)).hasSizeGreaterThan(LENGTH);
    EmbeddingModel model = new OnnxEmbeddingModel(onnx(), json, PoolingMode.MEAN);
    for (String text :
        List.of("hi", "Größe, Straße!", LETTER, LETTER.repeat(6), LETTER.repeat(9))) {
      float[] embedding = model.embed(text).content().vector();
      float[] expected = embedding(trained, text);
      assertThat(embedding).hasSameSizeAs(expected);
      for (int i = 0; i < expected.length; i++) {
        assertThat(embedding[i]).as(text).isCloseTo(expected[i], within(1e-5f));
      }
    }
    try (OrtSession session = OrtEnvironment.getEnvironment().createSession(onnx().toString())) {
      assertThat(session.getMetadata().getCustomMetadata())
          .isEqualTo(Map.of("run", "SPD", "tokens", "" + LENGTH, "classes", "ham, spam"));
      assertThat(session.getOutputNames())
          .containsExactly("last_hidden_state", "logits", "probabilities");
    }
  }

  /** Returns the normalized mean of a text's last hidden states. */
  private static float[] embedding(Weights weights, String text) {
    Batch batch = Batch.of(List.of(tokenizer.encode(text, LENGTH)), 16);
    try (Arena memory = Arena.ofConfined();
        OneDnn dnn = OneDnn.open(2)) {
      MemorySegment pooled = memory.allocate(JAVA_FLOAT, CONFIG.hidden());
      new Encoder(dnn, CONFIG, weights, 1, batch.length(), memory).forward(batch, pooled);
      float[] mean = pooled.toArray(JAVA_FLOAT);
      double squares = 0;
      for (float value : mean) {
        squares += (double) value * value;
      }
      for (int i = 0; i < mean.length; i++) {
        mean[i] /= (float) Math.sqrt(squares);
      }
      return mean;
    }
  }

  @Test
  void theJobExportsItsRun() throws Exception {
    String out = job(() -> false);

    assertThat(out).contains("ONNX model: " + onnx());
    Path saved = folder.resolve("finetune-adamw-0.01-seed1.safetensors");
    byte[] exported = Files.readAllBytes(onnx());
    Files.delete(onnx());
    assertThat(Cli.run("export", saved.toString(), onnx().toString()).status()).isZero();
    assertThat(Files.readAllBytes(onnx())).isEqualTo(exported);
  }

  @Test
  void aJobThatIsStoppedKeepsTheFileOfAnEarlierOne() throws Exception {
    Files.writeString(onnx(), "an earlier export");
    AtomicInteger asked = new AtomicInteger();
    // The job asks before the data, the run, its only step and the first test.
    assertThat(job(() -> asked.incrementAndGet() >= 4))
        .contains("testing …", "not exported, because the run is not complete");
    assertThat(onnx()).hasContent("an earlier export");
    assertThat(files()).contains("finetune-adamw-0.01-seed1.safetensors");
  }

  private String job(BooleanSupplier stop) throws Exception {
    List<Mail> mails = new ArrayList<>();
    for (MailCollection collection : MailCollection.values()) {
      for (int i = 0; i < 8; i++) {
        mails.add(new Mail(collection, i + ".txt", "mail " + i + " of " + collection));
      }
    }
    String arguments = "--rules adamw --test-limit 2 --results " + folder + " --export " + onnx();
    JobOptions job = Fixtures.job(arguments.split(" "));
    TrainingOptions training =
        Fixtures.training("--steps 1 --batch 2 --length 8 --lora 2 --threads 2".split(" "));
    StringWriter out = new StringWriter();
    PrintWriter writer = new PrintWriter(out);
    new Job(
            job,
            training,
            Config.MINILM_L6,
            pretrained,
            MailCorpus.of(mails, job, training, tokenizer),
            Processes.ONE,
            stop,
            new Log(writer, writer, false))
        .run();
    return out.toString();
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "--export m.onnx | --export needs exactly one run, but the rules, λ, learning rates, states, data and seeds make"
            + " 3",
        "--rules spd --seeds 1,2,1 --state float32,split --export m.onnx | --export needs exactly"
            + " one run, but the rules, λ, learning rates, states, data and seeds make 4",
        "--rules spd --with-head | --with-head needs --export",
        "--rules spd --export run.safetensors | run.safetensors is not the name of an ONNX file:"
            + " it must end with .onnx",
        "--rules spd --export FOLDER/none/m.onnx | FOLDER/none is not a folder that can be written to",
      })
  void aJobRefusesWhatItCouldNotExport(String line) {
    String[] parts = line.replace("FOLDER", folder.toString()).split(" \\| ");
    Cli refused = Cli.run(("finetune --results " + folder + " " + parts[0]).split(" "));

    assertThat(refused.status()).isEqualTo(2);
    assertThat(refused.err()).isEqualToIgnoringNewLines(parts[1]);
    assertThat(refused.out()).isEmpty();
  }

  @Test
  void helpSaysWhatIsExported() {
    assertThat(Cli.run("finetune", "--help").out().replaceAll("\\s+", " "))
        .contains("--export=FILE", "exactly one run", "--with-head");
    assertThat(Cli.run("export", "--help").out())
        .contains("MODEL", "FILE", "tokenizer.json", "--with-head", "--length", "logits");
  }

  @Test
  void refusesTheFolderOfAnotherTokenizer() throws Exception {
    Path json = Files.writeString(folder.resolve("tokenizer.json"), "{}");
    Cli refused = Cli.run("export", saved(trained()).toString(), onnx().toString());

    assertThat(refused.status()).isEqualTo(2);
    assertThat(refused.err())
        .isEqualToIgnoringNewLines(
            "%s is not the tokenizer of this model, cut at %d tokens: remove it, or export to another"
                    .formatted(json, LENGTH)
                + " folder");
    assertThat(json).hasContent("{}");
    assertThat(files()).containsExactly("run.safetensors", "tokenizer.json");
  }

  @Test
  void refusesAFileThatIsNoModel() throws Exception {
    Cli missing = Cli.run("export", folder.resolve("none").toString(), onnx().toString());
    assertThat(missing.status()).isEqualTo(2);
    assertThat(missing.err()).contains("none is not a file: name one that finetune wrote");

    Cli encoder = Cli.run("export", saved(pretrained).toString(), onnx().toString());
    assertThat(encoder.status()).isEqualTo(2);
    assertThat(encoder.err()).contains("it has no tensor head.weight");
    assertThat(files()).containsExactly("run.safetensors");
  }

  private List<String> files() throws IOException {
    try (Stream<Path> files = Files.list(folder)) {
      return files.map(file -> file.getFileName().toString()).sorted().toList();
    }
  }
}
