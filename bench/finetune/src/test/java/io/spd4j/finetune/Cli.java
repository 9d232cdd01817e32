package io.spd4j.finetune;

import java.io.PrintWriter;
import java.io.StringWriter;

/** What a command printed, and its exit status. */
record Cli(int status, String out, String err) {
  static Cli run(String... args) {
    StringWriter out = new StringWriter();
    StringWriter err = new StringWriter();
    int status = new Main().run(new PrintWriter(out, true), new PrintWriter(err, true), args);
    return new Cli(status, out.toString(), err.toString());
  }
}
