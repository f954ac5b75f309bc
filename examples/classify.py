"""Classify images by a network that train_final.py exported; needs Pillow, NumPy and ONNX Runtime.

    python examples/classify.py output/final/mobilenet-best.onnx photo.jpg more-photos/
    python examples/classify.py output/final/mobilenet-best.onnx /imagenet/val

prints the most probable classes of each image. For a folder with a folder of images per class it
also prints the accuracy: for the validation images the one that train_final.py reported. How an
image becomes an input stands in the ONNX file's metadata, in numbers and, as "steps", in words.
"""

import argparse
import json
import sys
from pathlib import Path

import numpy as np
import onnxruntime
from PIL import Image

# Pillow knows a file by its content, and opens some formats by starting programs: not these.
FORMATS = ("BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")
SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".ppm", ".tif", ".tiff", ".webp")


def main(arguments=None):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("network", help="ONNX file of train_final.py")
    parser.add_argument(
        "images", nargs="+", type=Path, help="images, folders of them or of classes"
    )
    parser.add_argument("--top", type=int, default=3, help="classes printed per image (3)")
    options = parser.parse_args(arguments)
    sys.stdout.reconfigure(errors="backslashreplace")  # names of files may be in any encoding
    try:
        session = onnxruntime.InferenceSession(options.network, providers=["CPUExecutionProvider"])
        metadata = session.get_modelmeta().custom_metadata_map
        classes, recipe = (json.loads(metadata[key]) for key in ("classes", "preprocessing"))
    except Exception as error:  # ONNX Runtime has exceptions of its own
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
        shares = softmax(session.run(["logits"], {"images": image[None]})[0][0])
        best = np.argsort(-shares)[: options.top]
        print(f"{path}: " + ", ".join(f"{classes[i]} {shares[i]:.1%}" for i in best))
        if wanted is not None:
            right.append(classes[best[0]] == wanted)
    if not read:
        parser.error("none of the images can be read")
    if right:
        print(f"accuracy: {np.mean(right):.4f}, {sum(right)} of {len(right)} images")


def labelled(paths):
    """Yield (path, class) of images; the class is None where no folder of a class tells it."""
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
    """Return an image as a network's input, float32 (3, H, W), as the metadata say."""
    image = read_image(path)
    side = recipe["input_size"]
    longest = recipe.get("longest_ratio", 32) * min(image.size)  # older exports lack it
    image = centre(image, [min(length, longest) for length in image.size])
    size = [n * recipe["resize_shorter_side"] // min(image.size) for n in image.size]
    image = centre(image.resize(size, Image.Resampling.BILINEAR), (side, side))
    pixels = np.asarray(image, dtype=np.float32) / recipe["divide_by"]
    return ((pixels - recipe["mean"]) / recipe["std"]).transpose(2, 0, 1).astype(np.float32)


def read_image(path):
    """Return the RGB image of 8 bits in a file."""
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
