(* PagePool: src/cache/page_pool.h as numbers. The free list is a stack; pages never handed out lie at its bottom in
   ascending order, which is what the C++ high-water mark amounts to. *)
From Coq Require Import Arith List Bool Lia.
Import ListNotations.

Notation page := nat (only parsing).

Definition create (num_pages : nat) : list page := seq 0 num_pages.
Definition give_back (p : page) (free : list page) : list page := p :: free.
(* give_back for each page of l, first to last. *)
Definition give_back_all (l free : list page) : list page := rev l ++ free.
Definition take (num : nat) (free : list page) : list page * list page := (firstn num free, skipn num free).

(* How often p occurs: conservation is stated as equations between counts. *)
Fixpoint count (p : page) (l : list page) : nat :=
  match l with [] => 0 | q :: rest => (if p =? q then 1 else 0) + count p rest end.

Lemma count_app p a b : count p (a ++ b) = count p a + count p b.
Proof. induction a; cbn; lia. Qed.
Lemma count_rev p a : count p (rev a) = count p a.
Proof. induction a; cbn; auto. rewrite count_app. cbn. lia. Qed.
Lemma count_give_back_all p l free : count p (give_back_all l free) = count p l + count p free.
Proof. unfold give_back_all. rewrite count_app, count_rev. reflexivity. Qed.
Lemma count_split p n l : count p (firstn n l) + count p (skipn n l) = count p l.
Proof. rewrite <- count_app, firstn_skipn. reflexivity. Qed.
Lemma take_conserves p num free : count p (fst (take num free)) + count p (snd (take num free)) = count p free.
Proof. apply count_split. Qed.
Lemma count_seq p a n : count p (seq a n) = if (a <=? p) && (p <? a + n) then 1 else 0.
Proof.
  revert a. induction n as [|n IH]; intros a; cbn [seq count].
  - destruct (Nat.leb_spec a p), (Nat.ltb_spec p (a + 0)); cbn; lia.
  - rewrite IH. destruct (Nat.eqb_spec p a), (Nat.leb_spec (S a) p), (Nat.ltb_spec p (S a + n)), (Nat.leb_spec a p),
      (Nat.ltb_spec p (a + S n)); cbn; lia.
Qed.
Theorem create_has_each_page_once p num : count p (create num) = if p <? num then 1 else 0.
Proof. unfold create. rewrite count_seq. reflexivity. Qed.
