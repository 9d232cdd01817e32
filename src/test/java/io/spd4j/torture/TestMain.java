package io.spd4j.torture;

import java.lang.reflect.Constructor;
import java.lang.reflect.Field;
import java.lang.reflect.Method;
import java.lang.reflect.Modifier;
import java.nio.file.Files;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Runs the tests of classes in a JVM that has been started in an unusual way. */
final class TestMain {
  private TestMain() {}

  /**
   * @param classes names of classes whose tests take no arguments
   */
  public static void main(String[] classes) throws Exception {
    for (String name : classes) {
      Class<?> type = Class.forName(name);
      for (Method method : type.getDeclaredMethods()) {
        if (method.isAnnotationPresent(Test.class)) {
          method.setAccessible(true);
          method.invoke(instance(type));
        }
      }
    }
    System.out.println("tests passed");
    System.exit(0);
  }

  private static Object instance(Class<?> type) throws Exception {
    Constructor<?> constructor = type.getDeclaredConstructor();
    constructor.setAccessible(true);
    Object instance = constructor.newInstance();
    for (Field field : type.getDeclaredFields()) {
      if (field.isAnnotationPresent(TempDir.class)) {
        field.setAccessible(true);
        Object owner = Modifier.isStatic(field.getModifiers()) ? null : instance;
        field.set(owner, Files.createTempDirectory("torture"));
      }
    }
    return instance;
  }
}
