"""Classify images by a network that train_final.py exported.

    python examples/classify.py output/final/mobilenet-best.onnx photo.jpg more-photos/
    python examples/classify.py output/final/mobilenet-best.tflite /imagenet/val

prints the most probable classes of each image. For a folder that has a folder of images per class
it also prints the accuracy, which on the validation images is the one train_final.py reported. The
metadata of the file say how an image becomes an input: in numbers and, as "steps", in words. Needs
Pillow, NumPy, and ONNX Runtime for an .onnx file, ai-edge-litert for a .tflite file.
"""

import argparse
import json
import sys
from pathlib import Path

import numpy as np
from PIL import Image

# Pillow recognises a file by its content, and opens some formats by starting programs; not these.
FORMATS = ("BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")
SUFFIXES = (
    ".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".bmp", ".gif", ".ppm", ".pgm", ".pbm", ".tif",
    ".tiff", ".webp",
)  # fmt: skip


def main(arguments=None):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("network", help=".onnx or .tflite file of train_final.py")
    parser.add_argument(
        "images", nargs="+", type=Path, help="images, folders of them or of classes"
    )
    parser.add_argument("--top", type=int, default=3, help="classes printed per image (3)")
    options = parser.parse_args(arguments)
    if options.top < 1:
        parser.error("--top must be at least 1")
    sys.stdout.reconfigure(errors="backslashreplace")  # names of files may be in any encoding
    try:
        open_network = open_tflite if options.network.endswith(".tflite") else open_onnx
        logits, metadata = open_network(options.network)
        classes, recipe = (json.loads(metadata[key]) for key in ("classes", "preprocessing"))
    except Exception as error:  # each runtime has exceptions of its own
        parser.error(f"{options.network} is no network of train_final.py: {error}")

    read, right = 0, []
    for path, wanted in labelled(options.images):
        if wanted is not None and wanted not in classes:
            parser.error(f"{path}: {wanted!r} is none of the network's {len(classes)} classes")
        try:
            image = network_input(path, recipe)
        except Exception as error:  # damaged files make decoders raise nearly anything
            print(f"warning: {path} is skipped: {error}", file=sys.stderr)
            continue
        read += 1
        shares = softmax(logits(image))
        best = np.argsort(-shares)[: options.top]
        print(f"{path}: " + ", ".join(f"{classes[i]} {shares[i]:.1%}" for i in best))
        if wanted is not None:
            right.append(classes[best[0]] == wanted)
    if not read:
        parser.error("none of the images can be read")
    if right:
        print(f"accuracy: {np.mean(right):.4f}, {sum(right)} of {len(right)} images")


def open_onnx(path):
    """Return (a function from an input (3, H, W) to logits, {key: text} of the metadata)."""
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])

    def logits(image):
        return session.run(["logits"], {"images": image[None]})[0][0]

    return logits, session.get_modelmeta().custom_metadata_map


def open_tflite(path):
    """Return the same of a file for LiteRT, whose images are (H, W, 3)."""
    from ai_edge_litert.interpreter import Interpreter
    from ai_edge_litert.schema_py_generated import Model

    content = Path(path).read_bytes()
    interpreter = Interpreter(model_content=content)
    interpreter.allocate_tensors()
    (images,), (output,) = interpreter.get_input_details(), interpreter.get_output_details()

    def logits(image):
        interpreter.set_tensor(images["index"], image.transpose(1, 2, 0)[None])
        interpreter.invoke()
        return interpreter.get_tensor(output["index"])[0]

    model = Model.GetRootAs(content)
    entries = [model.Metadata(number) for number in range(model.MetadataLength())]
    texts = [model.Buffers(entry.Buffer()).DataAsNumpy().tobytes() for entry in entries]
    return logits, dict(zip([entry.Name().decode() for entry in entries], texts, strict=True))


def labelled(paths):
    """Yield (path, class) of images; the class is None for images outside a class folder."""
    for path in paths:
        if not path.is_dir():
            yield path, None
            continue
        folders = sorted(each for each in path.iterdir() if each.is_dir() and visible(each))
        for folder, name in [(each, each.name) for each in folders] or [(path, None)]:
            for image in sorted(folder.iterdir()):
                if image.suffix.lower() in SUFFIXES and visible(image):
                    yield image, name


def visible(path):
    return not path.name.startswith(".")


def network_input(path, recipe):
    """Return an image as the network's input, float32 (3, H, W), as described by the metadata."""
    image = read_image(path)
    side = recipe["input_size"]
    longest = recipe.get("longest_ratio", 32) * min(image.size)  # older exports lack it
    image = centre(image, [min(length, longest) for length in image.size])
    size = [n * recipe["resize_shorter_side"] // min(image.size) for n in image.size]
    image = centre(image.resize(size, Image.Resampling.BILINEAR), (side, side))
    pixels = np.asarray(image, dtype=np.float32) / recipe["divide_by"]
    return ((pixels - recipe["mean"]) / recipe["std"]).transpose(2, 0, 1).astype(np.float32)


def read_image(path):
    """Return the image in a file as 8-bit RGB."""
    with Image.open(path, formats=FORMATS) as image:
        if image.mode not in ("F", "I", "I;16", "I;16B"):
            return image.convert("RGB")
        known = image.mode != "F"
        if image.format == "TIFF":  # other than 16 bits without a sign, black being 0
            tags = image.tag_v2
            known = image.mode.startswith("I;") and (tags.get(258), tags.get(262)) == ((16,), 1)
        if not known:
            raise ValueError("the gray of its white is not known")
        return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8)).convert("RGB")


def centre(image, size):
    """Return the centre of an image, cropped to a size."""
    left, top = ((whole - part) // 2 for whole, part in zip(image.size, size, strict=True))
    return image.crop((left, top, left + size[0], top + size[1]))


def softmax(logits):
    """Return probabilities that sum to 1."""
    powers = np.exp(logits - logits.max())
    return powers / powers.sum()


if __name__ == "__main__":
    main()
