question, text = "Where was Nora Gray born ?", "Nora Gray was born [MASK] Chicago"
mine = tokenizer(question, text, return_tensors="pt")
arguments = ["--all"]
arguments += [f"{name}={' '.join(map(str, ids[0].tolist()))}" for name, ids in mine.items()]
done, word = None, ...
if program:
    command = [program, path, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    output = json.loads(done.stdout)["logits"]
    logits = torch.tensor(output["values"]).reshape(output["shape"])
    place = mine["input_ids"][0].tolist().index(tokenizer.mask_token_id)
    word = tokenizer.decode(int(logits[0, place].argmax()))
checks.check("ask-in-cpp", (done, word))
