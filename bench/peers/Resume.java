import io.spd4j.Adam;
import io.spd4j.Checkpoint;
import io.spd4j.Parameter;
import io.spd4j.ParameterGroup;
import io.spd4j.WeightDecay;
import io.spd4j.safetensors.SafetensorsFile;
import io.spd4j.safetensors.Tensor;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;

/**
 * Continues a training from a checkpoint, or begins one if there is no such file, and saves
 * another. checkpoint.py runs it from source.
 */
public class Resume {
  /**
   * Takes the checkpoint to continue from, a file of initial values ({@code NAME.init}) and gradients
   * ({@code NAME.grad.0}, …) whose metadata are the settings, and the checkpoint to write.
   */
  public static void main(String[] args) throws IOException {
    Path from = Path.of(args[0]);
    try (Arena arena = Arena.ofShared()) {
      SafetensorsFile inputs = SafetensorsFile.map(Path.of(args[1]), arena);
      Map<String, String> settings = inputs.metadata();
      ParameterGroup.Builder group =
          ParameterGroup.builder()
              .lr(Double.parseDouble(settings.get("lr")))
              .decay(new WeightDecay(Double.parseDouble(settings.get("weight_decay"))))
              .amsgrad(Boolean.parseBoolean(settings.get("amsgrad")));
      for (Tensor tensor : inputs.tensors().values()) {
        if (tensor.name().endsWith(".init")) {
          String name = tensor.name().substring(0, tensor.name().lastIndexOf('.'));
          MemorySegment data = arena.allocate(tensor.data().byteSize(), 64).copyFrom(tensor.data());
          group.parameter(Parameter.builder(name, data).build());
        }
      }
      Adam.Builder builder = Adam.builder().group(group.build());
      if (Files.exists(from)) {
        builder.restore(from);
      }
      try (Adam adam = builder.build()) {
        for (int step = 0; step < Integer.parseInt(settings.get("steps")); step++) {
          for (Parameter p : adam.parameters()) {
            MemorySegment gradient = inputs.tensor(p.name() + ".grad." + step).data();
            p.gradient(arena.allocate(gradient.byteSize(), 64).copyFrom(gradient));
          }
          adam.step();
        }
        Checkpoint.of(adam).parameters(true).write(Path.of(args[2]));
      }
    }
  }
}
