package io.spd4j;

import static org.assertj.core.api.Assertions.assertThat;

import java.net.URL;
import java.net.URLClassLoader;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The example in the README compiles and runs. */
class ReadmeTest {
  @TempDir Path folder;

  @Test
  void theExampleCompilesAndRuns() throws Exception {
    Matcher block =
        Pattern.compile("```java\n(.*?)```", Pattern.DOTALL)
            .matcher(Files.readString(Path.of("README.md")));
    assertThat(block.find()).isTrue();
    Path source = Files.writeString(folder.resolve("Example.java"), block.group(1));
    String classPath = System.getProperty("java.class.path");
    FreshJvm.compile(
        "-Xlint:all,-path", "-Werror", "-cp", classPath, "-d", "" + folder, "" + source);
    URL[] urls = {folder.toUri().toURL()};
    try (URLClassLoader loader = new URLClassLoader(urls, getClass().getClassLoader())) {
      Class<?> example = loader.loadClass("Example");
      example.getMethod("main", String[].class).invoke(null, (Object) new String[0]);
    }
  }
}
