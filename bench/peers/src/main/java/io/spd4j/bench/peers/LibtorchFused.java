package io.spd4j.bench.peers;

import io.spd4j.bench.contest.ArrayKind;
import io.spd4j.bench.contest.Contestant;
import io.spd4j.bench.contest.Setup;
import io.spd4j.finetune.cli.Rule;
import java.lang.foreign.MemorySegment;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import org.bytedeco.javacpp.Pointer;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Dispatcher;
import org.bytedeco.pytorch.GenericList;
import org.bytedeco.pytorch.IValue;
import org.bytedeco.pytorch.IValueVector;
import org.bytedeco.pytorch.OperatorHandle;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorType;
import org.bytedeco.pytorch.Type.TypePtr;
import org.bytedeco.pytorch.global.torch;

/**
 * libtorch's fused AdamW for the CPU, through the JavaCPP presets. Like
 * torch.optim.AdamW(fused=True), it makes one call for all tensors. The call goes through the
 * dispatcher, because the presets omit ATen functions whose names begin with an underscore, and
 * libtorch's C++ AdamW is not fused.
 */
final class LibtorchFused implements Contestant {
  private final Map<ArrayKind, Tensor[]> arrays = new EnumMap<>(ArrayKind.class);
  private PointerScope scope;
  private OperatorHandle count;
  private OperatorHandle update;
  private IValue[] countArguments;
  private IValue[] updateArguments;

  @Override
  public Identity identity() {
    return new Identity(
        "libtorch-fused",
        "libtorch of the JavaCPP presets " + torch.class.getPackage().getImplementationVersion(),
        List.of(Rule.ADAMW),
        Map.of());
  }

  @Override
  public void setup(Setup setup) {
    torch.set_num_threads(setup.threads());
    scope = new PointerScope();
    for (ArrayKind kind : setup.arrays()) {
      arrays.put(kind, setup.tensors().stream().map(torch::empty).toArray(Tensor[]::new));
    }
    Tensor[] steps =
        setup.tensors().stream()
            .map(numel -> torch.scalar_tensor(new Scalar((double) setup.step())))
            .toArray(Tensor[]::new);
    Dispatcher dispatcher = Dispatcher.singleton();
    count = dispatcher.findSchemaOrThrow("aten::_foreach_add_", "Scalar");
    countArguments = new IValue[] {list(steps), new IValue(new Scalar(1.0))};
    update = dispatcher.findSchemaOrThrow("aten::_fused_adamw_", "");
    updateArguments =
        new IValue[] {
          list(arrays.get(ArrayKind.DATA)),
          list(arrays.get(ArrayKind.GRADIENT)),
          list(arrays.get(ArrayKind.EXP_AVG)),
          list(arrays.get(ArrayKind.EXP_AVG_SQ)),
          list(), // no maximum of second moments
          list(steps),
          new IValue(setup.lr()),
          new IValue(setup.beta1()),
          new IValue(setup.beta2()),
          new IValue(setup.lambda()),
          new IValue(setup.eps()),
          new IValue(false), // amsgrad
          new IValue(false), // maximize
          new IValue(), // no scale of gradients
          new IValue() // no flag for infinities
        };
  }

  private static IValue list(Tensor... tensors) {
    GenericList list = new GenericList(new TypePtr(TensorType.get()));
    for (Tensor tensor : tensors) {
      list.push_back(new IValue(tensor));
    }
    return new IValue(list);
  }

  @Override
  public MemorySegment array(ArrayKind kind, int tensor) {
    Tensor array = arrays.get(kind)[tensor];
    Pointer data = array.data_ptr();
    return MemorySegment.ofAddress(data.address()).reinterpret(array.numel() * Float.BYTES);
  }

  @Override
  public void step() {
    call(count, countArguments);
    call(update, updateArguments);
  }

  /** Calls an operator, which takes the arguments from a copy on the stack. */
  private static void call(OperatorHandle operator, IValue[] arguments) {
    try (IValueVector stack = new IValueVector(arguments)) {
      operator.callBoxed(stack);
    }
  }

  @Override
  public void close() {
    if (scope != null) {
      scope.close();
      scope = null;
      arrays.clear();
      Malloc.trim();
    }
  }
}
