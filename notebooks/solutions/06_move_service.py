def save(model, inputs, path):
    class Plain(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.model = model

        def forward(self, input_ids, attention_mask, token_type_ids):
            inputs = {"input_ids": input_ids, "attention_mask": attention_mask}
            return {"logits": self.model(**inputs, token_type_ids=token_type_ids).logits}

    free = {name: {0: Dim.DYNAMIC, 1: Dim.DYNAMIC} for name in inputs}
    program = torch.export.export(Plain(), (), inputs, dynamic_shapes=free)
    torch.export.save(program, path)


def serve(path, inputs):
    return torch.export.load(path).module()(**inputs)["logits"]


checks.check("move-service", (save, serve))
