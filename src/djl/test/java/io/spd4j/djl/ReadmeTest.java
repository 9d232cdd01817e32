package io.spd4j.djl;

import static org.assertj.core.api.Assertions.assertThat;

import ai.djl.Model;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import ai.djl.training.dataset.Dataset;
import java.io.StringWriter;
import java.net.URL;
import java.net.URLClassLoader;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.SplittableRandom;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import javax.tools.JavaCompiler;
import javax.tools.ToolProvider;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The example of the README's section on DJL compiles and runs. */
class ReadmeTest {
  private static final String PROGRAM =
      """
      import ai.djl.Model;
      import ai.djl.ndarray.*;
      import ai.djl.ndarray.types.Shape;
      import ai.djl.training.*;
      import ai.djl.training.dataset.*;
      import ai.djl.training.loss.Loss;
      import ai.djl.training.tracker.Tracker;
      import io.spd4j.*;
      import io.spd4j.djl.SpdOptimizer;

      public class Example {
        public static void run(Model model, Dataset dataset, Shape shape) throws Exception {
          Loss loss = Loss.softmaxCrossEntropyLoss();
          int epochs = 1;
          %s
        }
      }
      """;

  @TempDir private Path folder;

  @Test
  void theExampleCompilesAndRuns() throws Exception {
    Matcher block =
        Pattern.compile("## In DJL\n.*?```java\n(.*?)```", Pattern.DOTALL)
            .matcher(Files.readString(Path.of("../../README.md")));
    assertThat(block.find()).isTrue();
    Path source = folder.resolve("Example.java");
    Files.writeString(source, PROGRAM.formatted(block.group(1)));
    JavaCompiler compiler = ToolProvider.getSystemJavaCompiler();
    StringWriter errors = new StringWriter();
    List<String> options =
        List.of("-cp", System.getProperty("java.class.path"), "-d", folder.toString());
    assertThat(
            compiler
                .getTask(
                    errors,
                    null,
                    null,
                    options,
                    null,
                    compiler.getStandardFileManager(null, null, null).getJavaFileObjects(source))
                .call())
        .as(errors.toString())
        .isTrue();
    URL[] urls = {folder.toUri().toURL()};
    try (URLClassLoader loader = new URLClassLoader(urls, getClass().getClassLoader());
        Model model = Networks.model(1);
        NDManager manager = NDManager.newBaseManager()) {
      NDArray weight = model.getBlock().getParameters().get("01Linear_weight").getArray();
      float[] before = weight.toFloatArray();
      loader
          .loadClass("Example")
          .getMethod("run", Model.class, Dataset.class, Shape.class)
          .invoke(
              null,
              model,
              Networks.dataset(manager, new SplittableRandom(1), 64),
              new Shape(16, Networks.FEATURES));
      assertThat(weight.toFloatArray()).isNotEqualTo(before);
    }
  }
}
