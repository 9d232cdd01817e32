package io.spd4j.finetune;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatCode;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.spd4j.finetune.cli.Failure;
import io.spd4j.finetune.cli.State;
import io.spd4j.finetune.minilm.Config;
import io.spd4j.onednn.MathMode;
import io.spd4j.onednn.OneDnn;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import picocli.CommandLine;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.TypeConversionException;

class OptionsTest {
  private final Lambdas.Converter converter = new Lambdas.Converter();

  @Test
  void readsLambdas() {
    assertThat(converter.convert("spd=0.5,1,2"))
        .isEqualTo(new Lambdas(Method.SPD, List.of(0.5, 1.0, 2.0)));
    assertThat(converter.convert("L2sp_Coupled=0"))
        .isEqualTo(new Lambdas(Method.L2SP_COUPLED, List.of(0.0)));
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "spd | 'spd' is not RULE=λ or RULE=λ,λ…",
        "spd=1=2 | 'spd=1=2' is not RULE=λ or RULE=λ,λ…",
        "spd= | λ must be a number of 0 or more, not ''",
        "spd=1,,2 | λ must be a number of 0 or more, not ''",
        "spd=-1 | λ must be a number of 0 or more, not '-1'",
        "spd=NaN | λ must be a number of 0 or more, not 'NaN'",
        "spd=Infinity | λ must be a number of 0 or more, not 'Infinity'",
        "spd=1e39 | λ must be a number of 0 or more, not '1e39'",
        "spd=x | λ must be a number of 0 or more, not 'x'",
      })
  void refusesLambdas(String text, String message) {
    assertThatThrownBy(() -> converter.convert(text))
        .isInstanceOf(TypeConversionException.class)
        .hasMessage(message);
  }

  @Test
  void refusesALambdaOfNoRule() {
    assertThatThrownBy(() -> converter.convert("sgd=1"))
        .isInstanceOf(TypeConversionException.class)
        .hasMessage("'sgd' is not a rule: " + List.of(Method.values()));
  }

  @Test
  void everyRuleHasADefault() {
    List<String> defaults = new Lambdas.Defaults();

    assertThat(defaults).contains("adamw=0.01", "l2sp=10", "spd=1").hasSize(Method.values().length);
    assertThat(defaults)
        .extracting(text -> converter.convert(text).method())
        .containsExactly(Method.values());
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "--lr 0 --head-lr 0 --head-decay 0 --warmup 0 --clip Infinity --length 2 --math bf16",
        "--warmup 1 --length 512 --schedule constant --backend scalar --lora 4 --early-stop 1 --math auto",
        "--unfreeze head=1 --unfreeze embeddings=9 --layer-lambda layer5=0 --layer-lambda layer0=2",
      })
  void takesWhatIsInRange(String arguments) {
    TrainingOptions options = Fixtures.training(arguments.split(" "));

    assertThatCode(options::check).doesNotThrowAnyException();
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "--length 1 | --length must be 2 to 512",
        "--length 513 | --length must be 2 to 512",
        "--lr -1 | --lr must be 0 or more",
        "--lr NaN | --lr must be 0 or more",
        "--lr 1e39 | --lr must be 0 or more",
        "--head-lr -1 | --head-lr must be 0 or more",
        "--head-decay -1 | --head-decay must be 0 or more",
        "--head-decay 1e39 | --head-decay must be 0 or more",
        "--warmup -0.1 | --warmup must be 0 to 1",
        "--warmup 1.1 | --warmup must be 0 to 1",
        "--warmup NaN | --warmup must be 0 to 1",
        "--probe-share 0 | --probe-share must be more than 0 and less than 1",
        "--probe-share 1 | --probe-share must be more than 0 and less than 1",
        "--clip 0 | --clip must be more than 0",
        "--clip NaN | --clip must be more than 0",
        "--layer-lambda layer6=1 | --layer-lambda needs embeddings or layer0 to layer5 and a factor"
            + " of 0 or more",
        "--layer-lambda head=1 | --layer-lambda needs embeddings or layer0 to layer5 and a factor"
            + " of 0 or more",
        "--layer-lambda layer0=-1 | --layer-lambda needs embeddings or layer0 to layer5 and a"
            + " factor of 0 or more",
        "--layer-lambda layer0=Infinity | --layer-lambda needs embeddings or layer0 to layer5 and a"
            + " factor of 0 or more",
        "--unfreeze layer=1 | --unfreeze needs embeddings, layer0 to layer5 or head and a step of 1"
            + " or more",
        "--unfreeze head=0 | --unfreeze needs embeddings, layer0 to layer5 or head and a step of 1"
            + " or more",
        "--backend cuda | --backend cuda: the network lies in host memory, which native, vector"
            + " and scalar step",
        "--lora 385 | --lora must be 1 to 384",
        "--batch 3000 --length 500 | --batch 3000 of --length 500 has an array of 2359296000"
            + " elements; oneDNN handles 2147483647 at most",
      })
  void refusesWhatIsOutOfRange(String arguments, String message) {
    TrainingOptions options = Fixtures.training(arguments.split(" "));

    assertThatThrownBy(options::check).isInstanceOf(Failure.class).hasMessage(message);
  }

  /** Only what rounds the attention scores has a limit of their number. */
  @Test
  void refusesScoresThatCannotBeRounded() {
    assumeTrue(OneDnn.availability().available() && OneDnn.autoMath().mode() == MathMode.BF16);
    String batch = "--batch 683 --length 512";

    TrainingOptions rounding = Fixtures.training((batch + " --math auto").split(" "));
    assertThatThrownBy(rounding::check)
        .isInstanceOf(Failure.class)
        .hasMessage(
            "--batch 683 of --length 512 has an array of 2148532224 elements; oneDNN handles"
                + " 2147483647 at most");
    TrainingOptions exact = Fixtures.training(batch.split(" "));
    assertThatCode(() -> exact.checkBatch(Config.MINILM_L6)).doesNotThrowAnyException();
  }

  @Test
  void refusesALargeBatchToPretrain() {
    PretrainOptions options = new PretrainOptions();
    new CommandLine(options).parseArgs("--batch", "8193", "--length", "512");
    assertThatThrownBy(options::check)
        .isInstanceOf(Failure.class)
        .hasMessage(
            "--batch 8193 of --length 512 has an array of 2147745792 elements; oneDNN handles"
                + " 2147483647 at most");
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "--steps 0",
        "--steps many",
        "--batch -1",
        "--lora 0",
        "--early-stop 0",
        "--record 0",
        "--threads 0",
        "--schedule cosine",
        "--math fp8",
        "--backend gpu",
        "--layer-lambda layer0",
        "--unfreeze layer0=soon",
      })
  void refusesInvalidValues(String arguments) {
    assertThatThrownBy(() -> Fixtures.training(arguments.split(" ")))
        .isInstanceOf(ParameterException.class)
        .hasMessageContaining(arguments.split(" ")[0]);
  }

  @Test
  void aLambdaForARuleThatIsNotRunIsAnError(@TempDir Path folder) {
    JobOptions options =
        Fixtures.job(
            "--rules", "adamw", "--lambda", "spd=2", "--results", folder.resolve("new").toString());
    assertThatThrownBy(() -> options.check(TrainingOptions.defaults()))
        .isInstanceOf(Failure.class)
        .hasMessage("--lambda spd is for a rule that --rules does not name: [adamw]");
    assertThat(folder).isEmptyDirectory();
  }

  @Test
  void aRunForEachRuleAndLambda() {
    JobOptions options =
        Fixtures.job(
            "--rules",
            "spd,adamw",
            "--lambda",
            "spd=2,0.5",
            "--lambda",
            "spd=1,2",
            "--seeds",
            "3,4");

    assertThat(options.seeds()).containsExactly(3L, 4L);
    assertThat(options.specs(TrainingOptions.defaults(), List.of(3L)))
        .containsExactly(
            spec(Method.SPD, 2, State.FLOAT32, 3),
            spec(Method.SPD, 0.5, State.FLOAT32, 3),
            spec(Method.SPD, 1, State.FLOAT32, 3),
            spec(Method.ADAMW, 0.01, State.FLOAT32, 3));
    assertThat(Fixtures.job().specs(TrainingOptions.defaults(), List.of(1L)))
        .containsExactly(
            spec(Method.ADAMW, 0.01, State.FLOAT32, 1),
            spec(Method.L2SP, 10, State.FLOAT32, 1),
            spec(Method.SPD, 1, State.FLOAT32, 1));
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "--rules adamw --wise 0.5 | | --wise needs lp_ft among --rules, and no --lora",
        "--rules lp_ft --wise 0.5 | --lora 2 | --wise needs lp_ft among --rules, and no --lora",
        "--rules lp_ft --wise 0.5,1 | | --wise must be 0 or more and less than 1, which is the run"
            + " itself, not 1.0",
        "--rules lp_ft --wise -1 | | --wise must be 0 or more and less than 1, which is the run"
            + " itself, not -1.0",
        "--rules lp_ft --wise NaN | | --wise must be 0 or more and less than 1, which is the run"
            + " itself, not NaN",
        "--rules lp_ft | --steps 1 | lp_ft needs a step for the head and one for everything:"
            + " --probe-share 0.3 of --steps 1",
        "--rules lp_ft | --steps 5 --probe-share 0.9 | lp_ft needs a step for the head and one for"
            + " everything: --probe-share 0.9 of --steps 5",
        "--rules ftp | --lora 2 | ftp projects pre-trained weights, which --lora does not train",
        "--rules ftp --state float32,split | | ftp needs float32 parameters, which --state split"
            + " lacks",
      })
  void refusesWhatAMethodCannotDo(String job, String training, String message) {
    String[] ofTraining = training == null ? new String[0] : training.split(" ");
    assertThatThrownBy(() -> Fixtures.job(job.split(" ")).check(Fixtures.training(ofTraining)))
        .isInstanceOf(Failure.class)
        .hasMessage(message);
  }

  @Test
  void methodsHaveDefaults(@TempDir Path folder) throws Exception {
    TrainingOptions training = TrainingOptions.defaults();
    JobOptions options =
        Fixtures.job(
            "--rules",
            "lp_ft,ftp,adamw",
            "--state",
            "float32,moments=8bit+grad=bf16",
            "--results",
            folder.toString());
    options.check(training);

    assertThat(training.probing()).isEqualTo(90);
    assertThat(options.alphas(Method.LP_FT, training)).containsExactly(0.5);
    assertThat(options.alphas(Method.ADAMW, training)).isEmpty();
    assertThat(options.alphas(Method.LP_FT, Fixtures.training("--lora", "2"))).isEmpty();
    assertThat(options.specs(training, List.of(1L)))
        .extracting(RunSpec::title)
        .contains("LP-FT, λ = 0.01, seed 1", "FTP, k = 1, seed 1", "AdamW, λ = 0.01, seed 1");
  }

  private static RunSpec spec(Method method, double lambda, State state, long seed) {
    return new RunSpec(method, lambda, 5e-5, state, Variation.PLAIN, seed);
  }

  @Test
  void aRunForEachState() {
    JobOptions options =
        Fixtures.job("--rules", "spd", "--state", "float32,8bit,moments=bf16+param=bf16");

    assertThat(options.specs(TrainingOptions.defaults(), List.of(3L)))
        .containsExactly(
            spec(Method.SPD, 1, State.FLOAT32, 3),
            spec(Method.SPD, 1, State.EIGHT_BIT, 3),
            spec(Method.SPD, 1, State.of("param=bf16+moments=bf16"), 3));
    assertThat(options.specs(TrainingOptions.defaults(), List.of(3L)))
        .extracting(spec -> spec.fileName(false))
        .containsExactly("spd-1-seed3", "spd-1-seed3-8bit", "spd-1-seed3-param=bf16+moments=bf16");
  }

  @Test
  void checksTheJob(@TempDir Path folder) throws Exception {
    for (String fraction : List.of("0", "1", "NaN")) {
      assertThatThrownBy(
              () -> Fixtures.job("--test-fraction", fraction).check(TrainingOptions.defaults()))
          .isInstanceOf(Failure.class)
          .hasMessage("--test-fraction must be more than 0 and less than 1");
    }
    Path file = Files.createFile(folder.resolve("file"));
    assertThatThrownBy(() ->
            Fixtures.job("--results", file.resolve("x").toString())
                .check(TrainingOptions.defaults()))
        .isInstanceOf(Failure.class)
        .hasMessage(file.resolve("x") + " cannot be created: choose another folder with --results");

    Path made = folder.resolve("a/b");
    Fixtures.job("--results", made.toString()).check(TrainingOptions.defaults());
    assertThat(made).isDirectory();
  }
}
